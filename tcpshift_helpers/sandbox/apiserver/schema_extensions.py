"""What the models of the Python client do not say about fields: how wide their numbers are, and what their texts mean.

How lists and maps merge is in `merge_rules.json`.

Pure data, one entry a field (`Model.field`, in the API's own names).

Source: the OpenAPI v3 documents of kube-apiserver 1.34 (`format`).
"""

from __future__ import annotations

INT64_FIELDS = frozenset(
    {
        *("maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"),
        *("observedGeneration", "generation", "deletionGracePeriodSeconds", "terminationGracePeriodSeconds"),
        *("activeDeadlineSeconds", "tolerationSeconds", "expirationSeconds", "sizeBytes", "seconds", "gid", "uid"),
        *("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "capacity"),
    }
)

INT_OR_STRING_FIELDS = frozenset(
    {
        *("ServicePort.targetPort", "HTTPGetAction.port", "TCPSocketAction.port"),
        *("RollingUpdateDeployment.maxSurge", "RollingUpdateDeployment.maxUnavailable"),
    }
)

QUANTITY_FIELDS = frozenset(
    {
        *("ResourceRequirements.limits", "ResourceRequirements.requests", "VolumeResourceRequirements.limits"),
        *("VolumeResourceRequirements.requests", "PodSpec.overhead", "NodeStatus.capacity", "NodeStatus.allocatable"),
        *("ContainerStatus.allocatedResources", "EmptyDirVolumeSource.sizeLimit", "ResourceFieldSelector.divisor"),
        *("PodStatus.allocatedResources",),
    }
)

# Clients before 37 know these as plain text.
BYTES_FIELDS = frozenset({"Secret.data", "ConfigMap.binaryData"})

MICRO_TIME_FIELDS = frozenset(
    {"Event.eventTime", "EventSeries.lastObservedTime", "LeaseSpec.acquireTime", "LeaseSpec.renewTime"}
)

# Which package of upstream a model belongs to; what is not listed is of the core group.
META_MODELS = frozenset(
    {
        *("ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "ListMeta", "LabelSelector"),
        *("LabelSelectorRequirement", "FieldSelectorRequirement", "Condition"),
    }
)
PACKAGES = {"apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"}
GROUP_MODELS: dict[str, str] = {
    "apps": "Deployment|ReplicaSet|RollingUpdateDeployment",
    "authentication": "SelfSubjectReview|UserInfo",
    "authorization": "SelfSubject(Access|Rules)Review|Subject(Access|Rules)Review|(Non)?Resource(Attributes|Rule)"
    "|(Field|Label)SelectorAttributes",
    "batch": "Job|PodFailurePolicy|SuccessPolicy|UncountedTerminatedPods",
    "coordination": "Lease",
    "apiextensions": "CustomResource|JSONSchemaProps|ExternalDocumentation|ValidationRule|SelectableField|WebhookConversion",
    "discovery": "Endpoint$|Endpoint(Slice|Conditions|Hints)|For(Zone|Node)",
}

META_PACKAGE = "io.k8s.apimachinery.pkg.apis.meta.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TIME = f"{META_PACKAGE}.Time"
MICRO_TIME = f"{META_PACKAGE}.MicroTime"
FIELDS_V1 = f"{META_PACKAGE}.FieldsV1"

SCALARS: dict[str, dict[str, object]] = {
    QUANTITY: {
        "description": "An amount with an optional unit, such as 500m, 2 or 1Gi.",
        "oneOf": [{"type": "string"}, {"type": "number"}],
    },
    INT_OR_STRING: {
        "description": "A number, or a text such as a port's name or a percentage.",
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    TIME: {"description": "A time of day in RFC 3339 form.", "type": "string", "format": "date-time"},
    MICRO_TIME: {"description": "A time in RFC 3339 form with microseconds.", "type": "string", "format": "date-time"},
    FIELDS_V1: {"description": "A set of fields, written as a tree.", "type": "object"},
}
