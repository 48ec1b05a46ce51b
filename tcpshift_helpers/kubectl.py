"""kubectl's verbs, kubectl's words, kubectl's result lines.

Each function first prints the command line it stands for, which can be copied into a terminal (from the project's
folder, with KUBECONFIG set), then what kubectl would print, and returns the objects. `-n` is always written for
namespaced kinds, so that a copied line never lands in another namespace.
It does not run kubectl, and it does not know Istio.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import conditions, containers, execution, manifests, outputs, tables
from tcpshift_helpers.api import AS_TABLE, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Object
from tcpshift_helpers.changes import apply_one, delete_one, namespace_of, post
from tcpshift_helpers.errors import AlreadyExistsError, ExecError, NotFoundError, UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed
from tcpshift_helpers.shown import Objects, Output, say
from tcpshift_helpers.waiting import pod_name, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tcpshift_helpers.connection import Cluster

_PATCH_TYPES = {"strategic": STRATEGIC_MERGE_PATCH, "merge": MERGE_PATCH, "json": JSON_PATCH}


def apply(
    cluster: Cluster,
    manifest: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    namespace: str | None = None,
) -> Objects:
    """`kubectl apply -f`: create or bring up to date, leaving alone what the manifest does not name.

    Every object is looked at before the first is written: an unknown kind changes nothing.

    Args:
        cluster: where.
        manifest: a course manifest's name, a path, YAML text, an object or several.
        namespace: for objects that name none; default the cluster's.

    Returns:
        The objects as the server has them now.

    Raises:
        ManifestError: the manifest cannot be read.
        NotFoundError: no such kind, or the namespace does not exist.
        InvalidError: the server refused a field or a value.
    """
    loaded = manifests.load(manifest)
    say(["apply", "-f", loaded.shown_as], namespace or _common_namespace(cluster, loaded.objects))
    targets = [(obj, cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])) for obj in loaded.objects]
    result = Objects()
    for obj, resource in targets:
        where = namespace_of(cluster, obj, resource, namespace)
        word, applied = apply_one(cluster, obj, resource, where)
        print(f"{resource.word}/{applied['metadata']['name']} {word}")
        result.append(applied)
    return result


def create(
    cluster: Cluster,
    manifest: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    namespace: str | None = None,
) -> Objects:
    """`kubectl create -f`: create objects that must not exist yet.

    Raises:
        AlreadyExistsError: one does; those before it were created.
    """
    loaded = manifests.load(manifest)
    say(["create", "-f", loaded.shown_as], namespace or _common_namespace(cluster, loaded.objects))
    result = Objects()
    for obj in loaded.objects:
        resource = cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])
        result.append(post(cluster, obj, resource, namespace_of(cluster, obj, resource, namespace)))
        print(f"{resource.word}/{result[-1]['metadata']['name']} created")
    return result


def create_namespace(cluster: Cluster, name: str | None = None, *, labels: Mapping[str, str] | None = None) -> Objects:
    """`kubectl create namespace`; fine when it exists already. With `labels`, also `kubectl label`."""
    name = name or cluster.namespace
    resource = cluster.api.resource_named("namespaces")
    say(["create", "namespace", name])
    try:
        created = post(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, resource, None)
        print(f"namespace/{name} created")
    except AlreadyExistsError:
        created = cluster.read(resource, name)
        if created["metadata"].get("deletionTimestamp"):
            raise
        print(_("namespace/{name} exists already").format(name=name))
    return label(cluster, "namespace", name, labels) if labels else Objects([created])


def get(
    cluster: Cluster,
    kind: str,
    name: str | None = None,
    *,
    namespace: str | None = None,
    all_namespaces: bool = False,
    selector: str = "",
    output: str = "",
    show_labels: bool = False,
) -> Objects:
    """`kubectl get`: print a table as the server lays it out, or YAML or JSON, or what a jsonpath finds.

    Args:
        cluster: where.
        kind: any name kubectl takes: `pods`, `svc`, `virtualservice`.
        name: one object; without it all of them.
        namespace: default the cluster's.
        all_namespaces: those of every namespace.
        selector: label selector, such as `app=tcp-echo`.
        output: empty for a table, or `wide`, `yaml`, `json`, `name`, or `jsonpath={.spec.ports[0].port}`.
        show_labels: add the column LABELS.

    Raises:
        NotFoundError: no such kind or object.
        UsageError: no such output, or a jsonpath that is not understood.
    """
    outputs.check(output)
    resource = cluster.api.resource_named(kind)
    where = None if all_namespaces else namespace or cluster.namespace
    words = ["get", kind]
    words += [name] if name else []
    words += ["-A"] if all_namespaces else []
    words += ["-l", selector] if selector else []
    words += ["-o", output] if output else []
    words += ["--show-labels"] if show_labels else []
    say(words, where if resource.namespaced else None)
    query: dict[str, str] = {"labelSelector": selector} if selector else {}
    path = resource.path(where, name)
    if output in {"", "wide"}:
        table = cluster.api.request("GET", path, query={**query, "includeObject": "Object"}, accept=AS_TABLE)
        objects = Objects(row["object"] for row in table.get("rows") or [])
        if objects:
            in_all = all_namespaces and resource.namespaced
            shown = tables.table_lines(table, wide=output == "wide", with_namespace=in_all, with_labels=show_labels)
            print("\n".join(shown))
        else:
            print(
                f"No resources found in {where} namespace." if resource.namespaced and where else "No resources found"
            )
        return objects
    found = cluster.api.request("GET", path, query=query)
    objects = Objects([found] if name else found["items"])
    print(outputs.text(resource, objects, output, as_list=name is None), end="")
    return objects


def label(
    cluster: Cluster, kind: str, name: str, labels: Mapping[str, str | None] | None, *, namespace: str | None = None
) -> Objects:
    """`kubectl label --overwrite`; a None removes a label."""
    return _mark(cluster, "label", kind, name, labels or {}, namespace=namespace)


def annotate(
    cluster: Cluster, kind: str, name: str, annotations: Mapping[str, str | None], *, namespace: str | None = None
) -> Objects:
    """`kubectl annotate --overwrite`; a None removes an annotation."""
    return _mark(cluster, "annotate", kind, name, annotations, namespace=namespace)


def patch(
    cluster: Cluster, kind: str, name: str, body: Any, *, patch_type: str = "merge", namespace: str | None = None
) -> Objects:
    """`kubectl patch --type=merge|strategic|json -p`.

    Raises:
        InvalidError: the patch or its result was refused.
    """
    if patch_type not in _PATCH_TYPES:
        raise UsageError(
            _("patch_type={patch_type!r} is not one of {types}.").format(
                patch_type=patch_type, types=listed(_PATCH_TYPES)
            )
        )
    resource = cluster.api.resource_named(kind)
    where = namespace or cluster.namespace
    text = json.dumps(body, separators=(",", ":"))
    say(["patch", kind, name, f"--type={patch_type}", "-p", text], where if resource.namespaced else None)
    changed = cluster.patch(resource, name, body, content_type=_PATCH_TYPES[patch_type], namespace=where)
    print(f"{resource.word}/{name} patched")
    return Objects([changed])


def scale(cluster: Cluster, deployment: str, replicas: int, *, namespace: str | None = None) -> Objects:
    """`kubectl scale deployment --replicas`."""
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise UsageError(
            _("{name}={value!r}: a whole number, {least} or more, is needed.").format(
                name="replicas", value=replicas, least=0
            )
        )
    resource = cluster.api.resource_named("deployments.apps")
    where = namespace or cluster.namespace
    say(["scale", "deployment", deployment, f"--replicas={replicas}"], where)
    cluster.patch(resource, deployment, {"spec": {"replicas": replicas}}, namespace=where, subresource="scale")
    print(f"{resource.word}/{deployment} scaled")
    return Objects([cluster.read(resource, deployment, where)])


def delete(
    cluster: Cluster,
    kind: str,
    name: str,
    *,
    namespace: str | None = None,
    ignore_not_found: bool = True,
    timeout_seconds: float = 60.0,
) -> None:
    """`kubectl delete --ignore-not-found`, waiting until the object is gone; prints nothing more if there was none.

    Raises:
        NotFoundError: there is none and `ignore_not_found` is False.
        WaitTimeoutError: it is still there after `timeout_seconds`; the message says what holds it.
    """
    resource = cluster.api.resource_named(kind)
    where = namespace or cluster.namespace
    flags = ["--ignore-not-found"] if ignore_not_found else []
    say(["delete", kind, name, *flags], where if resource.namespaced else None)
    delete_one(
        cluster,
        resource,
        name,
        where,
        timeout_seconds=timeout_seconds,
        ignore_not_found=ignore_not_found,
        say=print,
    )


def delete_manifest(
    cluster: Cluster,
    manifest: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    namespace: str | None = None,
    ignore_not_found: bool = True,
    timeout_seconds: float = 60.0,
) -> None:
    """`kubectl delete -f --ignore-not-found`: every object of a manifest, kinds the cluster lacks included.

    Raises:
        NotFoundError: one was not there and `ignore_not_found` is False.
        WaitTimeoutError: as `delete`.
    """
    loaded = manifests.load(manifest)
    flags = ["--ignore-not-found"] if ignore_not_found else []
    where = namespace or _common_namespace(cluster, loaded.objects)
    say(["delete", "-f", loaded.shown_as, *flags], where)
    for obj in loaded.objects:
        try:
            resource = cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])
        except NotFoundError:
            if ignore_not_found:
                continue
            raise
        delete_one(
            cluster,
            resource,
            obj["metadata"]["name"],
            namespace_of(cluster, obj, resource, namespace),
            timeout_seconds=timeout_seconds,
            ignore_not_found=ignore_not_found,
            say=print,
        )


def logs(
    cluster: Cluster,
    pod: str,
    *,
    container: str | None = None,
    namespace: str | None = None,
    tail: int | None = None,
    previous: bool = False,
) -> Output:
    """`kubectl logs`: print and return a container's log.

    Args:
        cluster: where.
        pod: a pod's name or `deployment/NAME`: its first pod.
        container: default the one that the pod names as such, else its first.
        namespace: default the cluster's.
        tail: so many lines from its end; default all.
        previous: of the container before the last restart.
    """
    where = namespace or cluster.namespace
    flags = [
        *(["-c", container] if container else []),
        *([f"--tail={tail}"] if tail is not None else []),
        *(["--previous"] if previous else []),
    ]
    say(["logs", pod, *flags], where)
    name = pod_name(cluster, pod, where)
    query: dict[str, str | int | bool] = {"container": container or containers.chosen(cluster, name, where)}
    if tail is not None:
        query["tailLines"] = tail
    if previous:
        query["previous"] = True
    text = cluster.api.text(cluster.api.resource_named("pods").path(where, name, "log"), query=query)
    print(text, end="" if text.endswith("\n") or not text else "\n")
    return Output(text)


def wait(
    cluster: Cluster,
    target: str,
    *,
    wait_for: str = "condition=Available",
    namespace: str | None = None,
    timeout_seconds: float = 60.0,
) -> Objects:
    """`kubectl wait --for=…`: block until it is so.

    Args:
        cluster: where.
        target: `deployment/tcp-echo-v1`, `pod/NAME`, or `deployment --all` style `deployment` for all of a kind.
        wait_for: `condition=Available`, `condition=Ready`, `jsonpath={.status.phase}=Running`, `delete`.
        namespace: default the cluster's.
        timeout_seconds: for all of them together.

    Raises:
        NotFoundError: there is nothing to wait for.
        WaitTimeoutError: says what was last seen, of its pods and warnings too.
    """
    wanted = conditions.Wanted(wait_for)
    kind, _slash, name = target.partition("/")
    resource = cluster.api.resource_named(kind)
    where = namespace or cluster.namespace
    shown = [target] if name else [kind, "--all"]
    say(
        ["wait", f"--for={wait_for}", *shown, f"--timeout={timeout_seconds:g}s"],
        where if resource.namespaced else None,
    )
    names = [name] if name else [obj["metadata"]["name"] for obj in cluster.list(resource, where)]
    if not names and not wanted.deleted:
        raise NotFoundError(
            404,
            "",
            "no matching resources found",
            _("There is no {kind} in {namespace} yet: apply its manifest first.").format(kind=kind, namespace=where),
        )
    deadline = time.monotonic() + timeout_seconds
    result = Objects()
    for each in names:
        if not wanted.deleted:
            cluster.read(resource, each, where)
        result.append(wait_until(cluster, resource, each, wanted, namespace=where, deadline=deadline) or {})
        print(f'{resource.word} "{each}" deleted' if wanted.deleted else f"{resource.word}/{each} condition met")
    return result


def rollout_status(
    cluster: Cluster, deployment: str, *, namespace: str | None = None, timeout_seconds: float = 60.0
) -> None:
    """`kubectl rollout status deployment/…`: block until its pods are new and available and the old ones are gone.

    Raises:
        NotFoundError: there is no such deployment.
        WaitTimeoutError: says what is missing.
    """
    resource = cluster.api.resource_named("deployments.apps")
    where = namespace or cluster.namespace
    say(["rollout", "status", f"deployment/{deployment}", f"--timeout={timeout_seconds:g}s"], where)
    cluster.read(resource, deployment, where)
    deadline = time.monotonic() + timeout_seconds
    wait_until(cluster, resource, deployment, conditions.RolledOut(), namespace=where, deadline=deadline)
    print(f'deployment "{deployment}" successfully rolled out')


def _common_namespace(cluster: Cluster, objects: Iterable[Object]) -> str | None:
    """What `-n` may say: nothing, where every object names its own namespace, for kubectl refuses another one."""
    return None if all(obj["metadata"].get("namespace") for obj in objects) else cluster.namespace


def _mark(
    cluster: Cluster, verb: str, kind: str, name: str, values: Mapping[str, str | None], *, namespace: str | None
) -> Objects:
    field = "labels" if verb == "label" else "annotations"
    resource = cluster.api.resource_named(kind)
    where = namespace or cluster.namespace
    words = [f"{key}-" if value is None else f"{key}={value}" for key, value in values.items()]
    say([verb, kind, name, *words, "--overwrite"], where if resource.namespaced else None)
    before = cluster.read(resource, name, where)
    held = before["metadata"].get(field) or {}
    if all(held.get(key) == value for key, value in values.items()):
        print(f"{resource.word}/{name} {'not labeled' if verb == 'label' else 'annotated'}")
        return Objects([before])
    changed = cluster.patch(resource, name, {"metadata": {field: dict(values)}}, namespace=where)
    past = (
        "annotated"
        if verb == "annotate"
        else "unlabeled"
        if all(value is None for value in values.values())
        else "labeled"
    )
    print(f"{resource.word}/{name} {past}")
    return Objects([changed])


def exec(  # noqa: A001 - kubectl's own verb
    cluster: Cluster,
    target: str,
    command: Sequence[str],
    *,
    container: str | None = None,
    namespace: str | None = None,
    timeout_seconds: float = 30.0,
) -> Output:
    """`kubectl exec TARGET -- COMMAND`: run a command in a container, print and return what it wrote.

    Args:
        cluster: where.
        target: a pod's name or `deployment/NAME`.
        command: program and arguments; no shell unless it is named.
        container: default the one that the pod names as such, else its first.
        namespace: default the cluster's.
        timeout_seconds: after that the command is let go.

    Raises:
        ExecError: it could not be started, exited non-zero (the message has its words) or took too long.
        NotFoundError: there is no such pod, and no container was named.
    """
    where = namespace or cluster.namespace
    say(["exec", target, *(["-c", container] if container else []), "--", *command], where)
    pod = pod_name(cluster, target, where)
    container = container or containers.chosen(cluster, pod, where)
    done = execution.run(cluster, pod, command, namespace=where, container=container, timeout_seconds=timeout_seconds)
    print(done.stdout, end="")
    if done.code:
        words = done.stderr.strip() or _("no words on stderr")
        raise ExecError(f"command terminated with exit code {done.code}: {words}")
    return Output(done.stdout)
