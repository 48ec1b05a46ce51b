"""What the models of the Python client do not say about fields: how their lists merge, and how wide their numbers are.

Pure data, one entry a field (`Model.field`, in the API's own names).

Source: the OpenAPI v3 documents of kube-apiserver 1.34 (`x-kubernetes-*` and `format`).
"""

from __future__ import annotations

# Lists that strategic merge patch merges: by which key, and which keys identify an element for server-side apply.
MERGED_LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "DeploymentStatus.conditions": ("type", ("type",)),
    "ReplicaSetStatus.conditions": ("type", ("type",)),
    "NamespaceStatus.conditions": ("type", ("type",)),
    "NodeStatus.conditions": ("type", ("type",)),
    "PodStatus.conditions": ("type", ("type",)),
    "ServiceStatus.conditions": ("type", ("type",)),
    "NodeStatus.addresses": ("type", ("type",)),
    "Container.env": ("name", ("name",)),
    "Container.ports": ("containerPort", ("containerPort", "protocol")),
    "Container.volumeDevices": ("devicePath", ("devicePath",)),
    "Container.volumeMounts": ("mountPath", ("mountPath",)),
    "EphemeralContainer.env": ("name", ("name",)),
    "EphemeralContainer.ports": ("containerPort", ("containerPort", "protocol")),
    "EphemeralContainer.volumeDevices": ("devicePath", ("devicePath",)),
    "EphemeralContainer.volumeMounts": ("mountPath", ("mountPath",)),
    "ContainerStatus.allocatedResourcesStatus": ("name", ("name",)),
    "ContainerStatus.volumeMounts": ("mountPath", ("mountPath",)),
    "PodSpec.containers": ("name", ("name",)),
    "PodSpec.ephemeralContainers": ("name", ("name",)),
    "PodSpec.hostAliases": ("ip", ("ip",)),
    "PodSpec.imagePullSecrets": ("name", ("name",)),
    "PodSpec.initContainers": ("name", ("name",)),
    "PodSpec.resourceClaims": ("name", ("name",)),
    "PodSpec.schedulingGates": ("name", ("name",)),
    "PodSpec.topologySpreadConstraints": ("topologyKey", ("topologyKey", "whenUnsatisfiable")),
    "PodSpec.volumes": ("name", ("name",)),
    "PodStatus.hostIPs": ("ip", ()),
    "PodStatus.podIPs": ("ip", ("ip",)),
    "PodStatus.resourceClaimStatuses": ("name", ("name",)),
    "ServiceAccount.secrets": ("name", ("name",)),
    "ServiceSpec.ports": ("port", ("port", "protocol")),
    "ObjectMeta.ownerReferences": ("uid", ("uid",)),
}

# Lists of plain values that merge as sets.
MERGED_SETS = frozenset({"ObjectMeta.finalizers", "NodeSpec.podCIDRs"})

# Objects of which a patch may keep only the keys it names.
RETAIN_KEYS = frozenset(
    {"DeploymentSpec.strategy", "PodSpec.volumes", "PodSpec.resourceClaims", "PodStatus.resourceClaimStatuses"}
)

# Maps that server-side apply replaces as a whole.
ATOMIC_MAPS = frozenset({"PodSpec.nodeSelector", "ServiceSpec.selector"})

INT64_FIELDS = frozenset(
    {
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

MICRO_TIME_FIELDS = frozenset({"Event.eventTime", "EventSeries.lastObservedTime"})

# Which package of upstream a model belongs to; what is not listed is of the core group.
META_MODELS = frozenset(
    {
        *("ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "ListMeta", "LabelSelector"),
        *("LabelSelectorRequirement", "Condition"),
    }
)
GROUP_MODEL_PREFIXES: dict[str, tuple[str, ...]] = {
    "apps": ("Deployment", "ReplicaSet", "RollingUpdateDeployment"),
    "discovery": ("Endpoint", "ForZone", "ForNode"),
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
