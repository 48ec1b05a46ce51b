"""What is special about a kind when its objects are created, changed and deleted.

Pure. The registry runs the common course of a write and asks the kind's strategy at the points where kinds differ.
Defaults and validation live in their own modules; addresses of Services in `service_addresses`.

Source: kubernetes pkg/registry/*/strategy.go and apiextensions-apiserver pkg/registry/customresource/strategy.go;
metadata kept by status updates as measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_sets, managers
from tcpshift_helpers.sandbox.apiserver.definitions import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

NAMESPACE_FINALIZER = "kubernetes"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
CONTROLLER_UID_LABEL = "batch.kubernetes.io/controller-uid"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
_DEFAULT_GRACE_SECONDS = 30
_ORPHAN_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)
_SPEC, _STATUS, _LABELS = field_sets.of(("spec",)), field_sets.of(("status",)), field_sets.of(("metadata", "labels"))
_POD_METADATA = field_sets.of(("metadata", "deletionTimestamp"), ("metadata", "ownerReferences"))


def same(left: Object, right: Object) -> bool:
    """Whether two objects differ in nothing but `metadata.resourceVersion` and the times of `metadata.managedFields`."""
    return _without_version(left) == _without_version(right)


def _without_version(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    if "managedFields" in metadata:
        metadata["managedFields"] = managers.without_times(metadata["managedFields"])
    return {**obj, "metadata": metadata}


def _without_metadata_and_status(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


@dataclass(frozen=True)
class Strategy:
    """The common rules; kinds override what differs.

    Attributes:
        resource: the kind.
        unconditional_update: an update may leave out `metadata.resourceVersion`.
        create_on_update: PUT of a name that is not there creates it.
        returns_deleted: DELETE answers with the object in place of a Status.
        counts_generations: `metadata.generation` counts changes of what was asked for.
        first_status: JSON of the status a new object has, or empty for none.
        orphans_by_default: dependents outlive an object that is deleted without a policy.
    """

    resource: ResourceType
    unconditional_update: bool = True
    create_on_update: bool = False
    returns_deleted: bool = False
    counts_generations: bool = False
    first_status: str = ""
    orphans_by_default: bool = False

    def prepare_for_create(self, obj: Object) -> None:
        """Drop what only the server may set, set what it starts with."""
        if "status" in self.resource.subresources:
            obj.pop("status", None)
        if self.first_status:
            obj["status"] = json.loads(self.first_status)
        if self.counts_generations:
            obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Keep what a plain update may not change, and count the generation."""
        if "status" in self.resource.subresources:
            _keep(obj, old, "status")
        self._count_generation(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        """Keep all but what the status subresource may change."""
        for field in (set(obj) | set(old)) - {"metadata", "status", "apiVersion", "kind"}:
            _keep(obj, old, field)
        self.keep_metadata_on_status_update(obj, old)

    def keep_metadata_on_status_update(self, obj: Object, old: Object) -> None:
        """Which metadata the status subresource may not change; nothing by default."""

    def reset_fields(self, subresource: str) -> FieldSet:
        """Fields that a write through this subresource does not change, so that it never comes to own them."""
        if subresource == "status":
            return _SPEC
        return _STATUS if "status" in self.resource.subresources else {}

    def is_complete(self, obj: Object) -> bool:
        """Whether nothing holds back the removal of an object that is being deleted."""
        metadata = obj["metadata"]
        return not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")

    def warnings_on_delete(self, policy: str | None) -> list[str]:
        """What a client that deletes with this policy is told."""
        return [_ORPHAN_WARNING] if self.orphans_by_default and policy is None else []

    def grace_seconds(self, obj: Object, asked: int | None) -> int | None:
        """How long deletion takes for a kind that is deleted gracefully; None for all others."""
        del obj, asked
        return None

    def _count_generation(self, obj: Object, old: Object) -> None:
        if not self.counts_generations:
            return
        generation = old["metadata"].get("generation", 1)
        changed = self._differs(obj, old)
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def _differs(self, obj: Object, old: Object) -> bool:
        return _without_metadata_and_status(obj) != _without_metadata_and_status(old)


class DeploymentStrategy(Strategy):
    """Labels belong to the main resource; annotations may come with the status."""

    def keep_metadata_on_status_update(self, obj: Object, old: Object) -> None:
        """Keep the labels."""
        _keep(obj["metadata"], old["metadata"], "labels")

    def reset_fields(self, subresource: str) -> FieldSet:
        """The labels belong to the main resource."""
        fields = super().reset_fields(subresource)
        return field_sets.union(fields, _LABELS) if subresource == "status" else fields


class CustomResourceStrategy(Strategy):
    """Kinds of custom resource definitions: the status subresource changes no metadata, and updates name the version they change."""

    def prepare_for_create(self, obj: Object) -> None:
        """A status that the definition has a default for is there from the beginning."""
        super().prepare_for_create(obj)
        definition = self.resource.definition
        status = definition.schema.get("properties", {}).get("status", {}) if definition else {}
        if "status" in self.resource.subresources and "default" in status:
            obj["status"] = copy.deepcopy(status["default"])

    def keep_metadata_on_status_update(self, obj: Object, old: Object) -> None:
        """Keep all metadata but for who manages which fields."""
        obj["metadata"] = managers.stated(old["metadata"], obj["metadata"].get("managedFields"))


class EndpointSliceStrategy(Strategy):
    """Labels count as part of what was asked for."""

    def _differs(self, obj: Object, old: Object) -> bool:
        return super()._differs(obj, old) or obj["metadata"].get("labels") != old["metadata"].get("labels")


class JobStrategy(Strategy):
    """A Job's pods are found by a selector made of its UID, unless its author asked to choose one."""

    def prepare_for_create(self, obj: Object) -> None:
        """Make the selector and the labels it finds; a Job without labels has those of its template."""
        super().prepare_for_create(obj)
        metadata, spec = obj["metadata"], obj["spec"]
        template = spec["template"].setdefault("metadata", {})
        if not spec.get("manualSelector"):
            name, uid = metadata.get("name", ""), metadata["uid"]
            labels = {JOB_NAME_LABEL: name, "job-name": name, CONTROLLER_UID_LABEL: uid, "controller-uid": uid}
            template["labels"] = {**labels, **(template.get("labels") or {})}
            selector = spec["selector"] = spec.get("selector") or {}
            selector["matchLabels"] = {CONTROLLER_UID_LABEL: uid, **(selector.get("matchLabels") or {})}
        if not metadata.get("labels") and template.get("labels"):
            metadata["labels"] = dict(template["labels"])


class NodeStrategy(Strategy):
    """A kubelet brings the status along when it registers its node."""

    def prepare_for_create(self, obj: Object) -> None:
        """Keep all."""


class ServiceStrategy(Strategy):
    """Addresses are given by `service_addresses` and by a controller."""

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        """An address of a load balancer is a virtual one unless said otherwise."""
        super().prepare_for_status_update(obj, old)
        for ingress in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


class NamespaceStrategy(Strategy):
    """A namespace goes only when its own finalizer, `spec.finalizers`, is gone: when it is empty."""

    def prepare_for_create(self, obj: Object) -> None:
        """Active, with the finalizer and the label of its name."""
        metadata, spec = obj["metadata"], obj.setdefault("spec", {})
        spec["finalizers"] = sorted({*(spec.get("finalizers") or []), NAMESPACE_FINALIZER})
        obj["status"] = {"phase": "Active"}
        if metadata.get("name"):
            metadata["labels"] = {NAMESPACE_NAME_LABEL: metadata["name"], **(metadata.get("labels") or {})}

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Finalizers have a subresource of their own."""
        obj["spec"] = dict(old.get("spec") or {})
        _keep(obj, old, "status")
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, NAMESPACE_NAME_LABEL: obj["metadata"]["name"]}

    def is_complete(self, obj: Object) -> bool:
        """Both lists of finalizers are empty."""
        return super().is_complete(obj) and not (obj.get("spec") or {}).get("finalizers")


class PodStrategy(Strategy):
    """Deleted gracefully: marked first, removed by the node once its processes ended."""

    def prepare_for_create(self, obj: Object) -> None:
        """Pending."""
        super().prepare_for_create(obj)
        obj["status"] = {"phase": "Pending", "qosClass": _qos_class(obj.get("spec") or {})}

    def prepare_for_status_update(self, obj: Object, old: Object) -> None:
        """`podIPs` follows `podIP`."""
        super().prepare_for_status_update(obj, old)
        status = obj.get("status") or {}
        if status.get("podIP"):
            others = [entry for entry in status.get("podIPs") or [] if entry.get("ip") != status["podIP"]]
            status["podIPs"] = [{"ip": status["podIP"]}, *others[1:]]

    def reset_fields(self, subresource: str) -> FieldSet:
        """Owners and the time of deletion belong to the main resource."""
        fields = super().reset_fields(subresource)
        return field_sets.union(fields, _POD_METADATA) if subresource == "status" else fields

    def grace_seconds(self, obj: Object, asked: int | None) -> int | None:
        """As asked, else the pod's own; none for a pod that does not run."""
        spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
        if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
            return 0
        own = spec.get("terminationGracePeriodSeconds")
        grace = asked if asked is not None else _DEFAULT_GRACE_SECONDS if own is None else own
        return int(grace) if grace >= 0 else 1


def _keep(obj: Object, old: Object, field: str) -> None:
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def _qos_class(spec: Object) -> str:
    """Source: kubernetes pkg/apis/core/v1/helper/qos."""
    resources = [container.get("resources") or {} for container in spec.get("containers") or []]
    named = [resource for resource in resources if resource.get("requests") or resource.get("limits")]
    if not named:
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(resource.get("limits") or {})
        and {**resource["limits"], **(resource.get("requests") or {})} == resource["limits"]
        for resource in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


class DefinitionStrategy(Strategy):
    """A custom resource definition remembers every version that objects were ever kept in."""

    def prepare_for_create(self, obj: Object) -> None:
        """No names accepted yet."""
        super().prepare_for_create(obj)
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
        note_storage_version(obj)

    def prepare_for_update(self, obj: Object, old: Object) -> None:
        """Keep the status but for a new storage version."""
        super().prepare_for_update(obj, old)
        obj["status"] = dict(obj["status"])
        note_storage_version(obj)

    def keep_metadata_on_status_update(self, obj: Object, old: Object) -> None:
        """Labels and annotations belong to the main resource."""
        _keep(obj["metadata"], old["metadata"], "labels")
        _keep(obj["metadata"], old["metadata"], "annotations")


def note_storage_version(definition: Object) -> None:
    """Remember in a definition's status the version in which it has objects kept from now on."""
    versions = (definition.get("spec") or {}).get("versions") or ()
    stored = definition["status"].get("storedVersions") or []
    storage = next((one["name"] for one in versions if one.get("storage")), None)
    if storage is not None and storage not in stored:
        definition["status"]["storedVersions"] = [*stored, storage]


_BUILT_IN: dict[str, Callable[[ResourceType], Strategy]] = {
    "namespaces": NamespaceStrategy,
    DEFINITIONS: lambda resource: DefinitionStrategy(resource, unconditional_update=False, counts_generations=True),
    "pods": lambda resource: PodStrategy(resource, returns_deleted=True, counts_generations=True),
    "nodes": NodeStrategy,
    "services": lambda resource: ServiceStrategy(
        resource, returns_deleted=True, create_on_update=True, first_status='{"loadBalancer":{}}'
    ),
    "serviceaccounts": lambda resource: Strategy(resource, returns_deleted=True),
    "endpoints": lambda resource: Strategy(resource, create_on_update=True),
    "leases.coordination.k8s.io": lambda resource: Strategy(
        resource, create_on_update=True, unconditional_update=False
    ),
    "events": lambda resource: Strategy(resource, create_on_update=True),
    "deployments.apps": lambda resource: DeploymentStrategy(resource, counts_generations=True, first_status="{}"),
    "replicasets.apps": lambda resource: Strategy(resource, counts_generations=True, first_status='{"replicas":0}'),
    "jobs.batch": lambda resource: JobStrategy(
        resource, counts_generations=True, first_status="{}", orphans_by_default=True
    ),
    "endpointslices.discovery.k8s.io": lambda resource: EndpointSliceStrategy(resource, counts_generations=True),
}


def strategy_for(resource: ResourceType) -> Strategy:
    """The strategy of a kind."""
    make = _BUILT_IN.get(resource.group_resource)
    if make is not None:
        return make(resource)
    if is_custom(resource):
        return CustomResourceStrategy(resource, unconditional_update=False, counts_generations=True)
    return Strategy(resource)


def is_custom(resource: ResourceType) -> bool:
    """Whether the kind comes from a custom resource definition."""
    return resource.custom is not None
