"""`istioctl kube-inject`, done by the cluster's own injector.

Each pod template is sent to the API server as a pod twice, as a dry run, with injection asked for and declined; the
difference is what this cluster's injector adds, and it goes into the template. So the result fits the Istio (or the
sandbox) that is there, whichever version. Nothing is created.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import manifests
from tcpshift_helpers.errors import ProfileError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

INJECT_LABEL = "sidecar.istio.io/inject"
STATUS_ANNOTATION = "sidecar.istio.io/status"
_HASH_LABEL = "pod-template-hash"
_HASH = "bcdfg24578"
_NO_UID = "00000000-0000-0000-0000-000000000000"
_WORKLOADS = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"}


def kube_inject(
    cluster: Cluster, manifest: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]
) -> manifests.Injected:
    """The manifest with a sidecar in every pod template, ready for `kubectl.apply`; other objects as they are.

    Raises:
        ManifestError: the manifest cannot be read.
        ProfileError: nothing in this cluster injects sidecars.
    """
    loaded = manifests.load(manifest)
    print(f"$ istioctl kube-inject -f {loaded.shown_as}")
    injected = manifests.Injected()
    for obj in loaded.objects:
        result = copy.deepcopy(obj)
        if obj["kind"] == "Pod":
            result = _injected(cluster, obj, obj["metadata"].get("namespace"))
        elif obj["kind"] in _WORKLOADS:
            template = {"metadata": {}, **result["spec"]["template"]}
            owner = (obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
            result["spec"]["template"] = _injected(cluster, template, obj["metadata"].get("namespace"), owner)
        injected.append(result)
    return injected


def added(plain: Any, injected: Any) -> Any:
    """What `injected` has and `plain` has not, in the same shape; None when there is nothing.

    Lists whose items have names are compared by name; other lists are one value.
    """
    if isinstance(plain, dict) and isinstance(injected, dict):
        result = {key: value if key not in plain else added(plain[key], value) for key, value in injected.items()}
        return {key: value for key, value in result.items() if value is not None} or None
    if _has_names(plain) and _has_names(injected):
        known = {item["name"]: item for item in plain}
        items = []
        for item in injected:
            difference = added(known[item["name"]], item) if item["name"] in known else item
            if difference is not None:
                items.append({**difference, "name": item["name"]})
        return items or None
    return None if plain == injected else injected


def merged(original: Any, addition: Any) -> Any:
    """`original` with `addition` (from `added`) put in; arguments are not changed."""
    if isinstance(original, dict) and isinstance(addition, dict):
        return {
            **original,
            **{
                key: merged(original[key], value) if key in original else copy.deepcopy(value)
                for key, value in addition.items()
            },
        }
    if _has_names(original) and _has_names(addition):
        extra = {item["name"]: item for item in addition}
        kept = [merged(item, extra.pop(item["name"])) if item["name"] in extra else item for item in original]
        return [*kept, *copy.deepcopy(list(extra.values()))]
    return copy.deepcopy(addition)


def _injected(
    cluster: Cluster, template: Object, namespace: str | None, owner: tuple[str, str, str] | None = None
) -> Object:
    path = cluster.api.resource_named("pods").path(namespace or cluster.namespace)
    plain, with_sidecar = (
        cluster.api.request("POST", path, query={"dryRun": "All"}, body=_pod(template, owner, inject))
        for inject in ("false", "true")
    )
    if STATUS_ANNOTATION not in (with_sidecar["metadata"].get("annotations") or {}):
        raise ProfileError(
            _(
                "Nothing in this cluster injected a sidecar: istiod is not running, or its webhook does not select this namespace.\n"
                "Look at: kubectl -n istio-system get pods; kubectl get mutatingwebhookconfigurations"
            )
        )
    for pod in (plain, with_sidecar):
        pod["metadata"] = {key: pod["metadata"].get(key) or {} for key in ("labels", "annotations")}
        for label in (INJECT_LABEL, _HASH_LABEL):
            pod["metadata"]["labels"].pop(label, None)
        pod.pop("status", None)
        _drop_tokens(pod["spec"])
    result: Object = merged(template, added(plain, with_sidecar))
    return result


def _pod(template: Object, owner: tuple[str, str, str] | None, inject: str) -> Object:
    """The pod that a controller would make of this template."""
    metadata = template.get("metadata", {})
    labels = {**(metadata.get("labels") or {}), INJECT_LABEL: inject}
    own: Object = {"name": metadata.get("name", "pod")}
    if owner is not None:
        api_version, kind, name = owner
        if kind == "Deployment":
            # Injectors name the workload after the pod's owner, a ReplicaSet whose name ends in this hash.
            kind, name = "ReplicaSet", f"{name}-{_HASH}"
            labels[_HASH_LABEL] = _HASH
        reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": _NO_UID, "controller": True}
        own = {"generateName": f"{name}-", "ownerReferences": [reference]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**own, "labels": labels, "annotations": metadata.get("annotations") or {}},
        "spec": template["spec"],
    }


def _drop_tokens(spec: Object) -> None:
    # The service account's token volume has a random name in each pod; the API server adds it by itself.
    def drop(holder: Object, key: str) -> None:
        kept = [
            item for item in holder.pop(key, None) or [] if not str(item.get("name", "")).startswith("kube-api-access-")
        ]
        if kept:
            holder[key] = kept

    drop(spec, "volumes")
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        drop(container, "volumeMounts")


def _has_names(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, dict) and "name" in item for item in items)
