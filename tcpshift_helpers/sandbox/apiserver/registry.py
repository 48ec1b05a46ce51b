"""The course of a read or write, the same for every kind: checks, admission, defaults, validation, storage.

It knows no HTTP. Every method is synchronous, so a read-modify-write cannot be interleaved with another.
What differs between kinds is asked of their `Strategy`; deletion has a module of its own.

Source: kubernetes/apiserver pkg/registry/generic/registry/store.go and pkg/registry/rest/{create,update}.go.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import admission as admission_chain
from tcpshift_helpers.sandbox.apiserver import service_addresses
from tcpshift_helpers.sandbox.apiserver.defaults import admit, apply_defaults
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError, invalid
from tcpshift_helpers.sandbox.apiserver.field_manager import FieldManager, Write
from tcpshift_helpers.sandbox.apiserver.go_structs import empty_object
from tcpshift_helpers.sandbox.apiserver.request import WriteOptions, unsigned
from tcpshift_helpers.sandbox.apiserver.status import (
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    internal_error,
    not_found,
)
from tcpshift_helpers.sandbox.apiserver.store import Key, Store
from tcpshift_helpers.sandbox.apiserver.strategy import Strategy, is_custom, same, strategy_for
from tcpshift_helpers.sandbox.apiserver.validation import validate_create, validate_update
from tcpshift_helpers.sandbox.apiserver.write_warnings import warnings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tcpshift_helpers.sandbox.apiserver.admission import Admission
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

NAMESPACES = "namespaces"
_SERVICES = "services"
_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_PREFIX_LENGTH = 58
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_SYSTEM_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_ORDER = ("kind", "apiVersion", "metadata")


@dataclass(frozen=True)
class Target:
    """What a request acts on.

    Attributes:
        resource: the kind.
        version: version the client speaks.
        namespace: empty for all namespaces or a kind without namespaces.
        name: empty for a collection.
        subresource: empty, or such as `status`.
    """

    resource: ResourceType
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """Where the object lives."""
        return Key(self.resource.group_resource, self.namespace if self.resource.namespaced else "", self.name)

    def not_found(self) -> StatusError:
        """404 for this name."""
        return not_found(self.resource.group, self.resource.plural, self.name)

    def conflict(self, why: str) -> StatusError:
        """409 for this name."""
        return conflict(self.resource.group, self.resource.plural, self.name, why)


def timestamp(after_seconds: int = 0) -> str:
    """Now, or some seconds later, as `metav1.Time`."""
    return (datetime.now(UTC) + timedelta(seconds=after_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """A fresh `metadata.uid`."""
    return str(uuid.uuid4())


class Registry:
    """Objects of all kinds, with Kubernetes' rules.

    Attributes:
        store: where they are kept.
        field_manager: keeps who owns which fields.
    """

    def __init__(
        self,
        store: Store,
        cluster_ips: Sequence[str],
        field_manager: FieldManager,
        admission: Sequence[Admission] = (),
    ) -> None:
        """Serve `store`; Services get their addresses from `cluster_ips`, writes pass `field_manager` and `admission`."""
        self.store = store
        self.field_manager = field_manager
        self._cluster_ips = tuple(cluster_ips)
        self._admission = tuple(admission)
        self._strategies: dict[str, Strategy] = {}

    def strategy(self, resource: ResourceType) -> Strategy:
        """The kind's rules."""
        if resource.custom is not None:  # its definition may change
            return strategy_for(resource)
        name = resource.group_resource
        if name not in self._strategies:
            self._strategies[name] = strategy_for(resource)
        return self._strategies[name]

    def get(self, target: Target) -> Object:
        """The object, in its storage version.

        Raises:
            StatusError: 404.
        """
        obj = self.store.get(target.key)
        if obj is None:
            raise target.not_found()
        return obj

    def list_objects(self, resource: ResourceType, namespace: str = "") -> Iterator[Object]:
        """All objects of a kind, or those of one namespace."""
        return self.store.list_objects(resource.group_resource, namespace)

    def create(self, target: Target, obj: Object, options: WriteOptions | None = None) -> Object:
        """Store a new object.

        Args:
            target: kind, version and namespace.
            obj: decoded object without unknown fields; it is changed.
            options: dry run, and who writes.

        Raises:
            StatusError: 400, 403, 404, 409, 422 or 500, with the real server's words.
        """
        metadata = obj["metadata"] = obj.get("metadata") or {}
        self._check_names(target, metadata)
        _forget_system_metadata(metadata)
        obj = apply_defaults(target.resource, obj)
        obj = self.field_manager.updated({}, obj, self.write_of(target, options), self._empty(target))
        return self._create(target, obj, options)

    def _create(self, target: Target, obj: Object, options: WriteOptions | None, *, is_judged: bool = False) -> Object:
        """Store a new object that has its defaults and whose managers are counted; it is changed."""
        resource, strategy = target.resource, self.strategy(target.resource)
        metadata = obj["metadata"]
        if resource.is_ending:
            why = "create not allowed while custom resource definition is terminating"
            raise forbidden(resource.group, resource.plural, metadata.get("name", ""), why)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = _generated_name(metadata["generateName"])
        target = replace(target, name=metadata.get("name", ""))
        labels = self._labels_of_open_namespace(target)
        obj = admit(resource, _in_order(self._admitted("CREATE", resource, obj, labels)))
        metadata = obj["metadata"]
        _forget_system_metadata(metadata)
        metadata["uid"], metadata["creationTimestamp"] = new_uid(), timestamp()
        strategy.prepare_for_create(obj)
        if not is_judged:
            self._refuse(resource, metadata.get("name", ""), validate_create(resource, obj))
        if options:
            options.warnings.extend(warnings_of(resource, obj))
        if _names_a_version(metadata) and not (options and options.dry_run):
            raise internal_error("resourceVersion should not be set on objects to be created")
        if self.store.get(target.key) is not None:
            raise already_exists(resource.group, resource.plural, target.name)
        self._allocate(target, obj)
        admission_chain.validate(self._admission, "CREATE", resource, obj, None)
        if options and options.dry_run:
            return obj
        return self.store.put(target.key, obj)

    def update(
        self,
        target: Target,
        make: Callable[[Object], Object],
        options: WriteOptions | None = None,
        *,
        conditional: bool = False,
        managed: bool = False,
    ) -> tuple[Object, bool]:
        """Change an object, or create it where the kind allows that.

        Args:
            target: the object, maybe with a subresource.
            make: from the stored object (in its storage version) to the wished one, decoded.
            options: dry run, and who writes.
            conditional: the wished object came from a patch, so a missing version is no mistake.
            managed: `make` has counted the managers already.

        Returns:
            The object as stored, and whether it was created.

        Raises:
            StatusError: as `create`; 409 when the object changed since `metadata.resourceVersion`.
        """
        old = self.store.get(target.key)
        if old is None:
            strategy = self.strategy(target.resource)
            if not strategy.create_on_update or target.subresource or conditional:
                raise target.not_found()
            return self.create(target, make({}), options), True
        obj = make(old)
        obj["metadata"] = obj.get("metadata") or {}
        self._check_names(target, obj["metadata"])
        if obj["metadata"].get("managedFields") == [] and not managed and not is_custom(target.resource):
            obj["metadata"] = {**obj["metadata"], "managedFields": [{}]}  # Go tells an empty list from none
        obj = apply_defaults(target.resource, obj)
        if not managed:
            obj = self.field_manager.updated(old, obj, self.write_of(target, options))
        return self._update(target, obj, old, options, conditional=conditional), False

    def apply(
        self,
        target: Target,
        config: Object,
        decode: Callable[[Object], Object],
        options: WriteOptions,
        *,
        is_judged: bool = False,
    ) -> tuple[Object, bool]:
        """Server-side apply: give an object the fields that are applied, create it if it is not there.

        Args:
            target: the object, maybe with a subresource.
            config: what is applied, in the version of `target`.
            decode: from an object in that version to one of the storage version.
            options: dry run, who applies, and whether by force.
            is_judged: the object comes with this package, whose tests have validated it.

        Returns:
            The object as stored, and whether it was created.

        Raises:
            StatusError: as `update`; 409 when others own what is applied.
        """
        old = self.store.get(target.key)
        if old is None and target.subresource:
            raise target.not_found()
        api_version = target.resource.api_version(target.version)
        live = {**old, "apiVersion": api_version} if old else {}
        write = self.write_of(target, options)
        obj = self.field_manager.applied(live, config, write, force=options.force, empty=self._empty(target))
        obj = decode(obj)
        metadata = obj["metadata"] = dict(obj.get("metadata") or {})
        if old is None and metadata.get("uid"):
            uid = metadata["uid"]
            raise target.conflict(
                f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            )
        self._check_names(target, metadata)
        obj = apply_defaults(target.resource, obj)
        if old is not None:
            return self._update(target, obj, old, options, conditional=True), False
        obj["metadata"].pop("resourceVersion", None)
        return self._create(target, obj, options, is_judged=is_judged), True

    def write_of(self, target: Target, options: WriteOptions | None) -> Write:
        """Who writes what, as the managers of fields are counted."""
        resource, manager = target.resource, options.field_manager if options else ""
        ignored = self.strategy(resource).reset_fields(target.subresource)
        return Write(resource.group, target.version, resource.kind, manager, target.subresource, ignored, timestamp())

    def _empty(self, target: Target) -> Object:
        return empty_object(target.resource.api_version(target.version), target.resource.kind)

    def _update(
        self, target: Target, obj: Object, old: Object, options: WriteOptions | None, *, conditional: bool
    ) -> Object:
        """Store a changed object that has its defaults and whose managers are counted; it is changed."""
        resource, strategy = target.resource, self.strategy(target.resource)
        self._check_version(target, obj, old, conditional=conditional)
        if not target.subresource:
            obj = self._admitted("UPDATE", resource, obj, self._labels(target.namespace))
        obj = admit(resource, _in_order(obj))
        self._refuse(resource, target.name, _changed_identity(obj, old))
        _keep_system_metadata(obj, old)
        if target.subresource == "status":
            strategy.prepare_for_status_update(obj, old)
        else:
            strategy.prepare_for_update(obj, old)
        if resource.group_resource == _SERVICES:
            service_addresses.keep_allocated(obj, old)
        self._refuse(
            resource, target.name, validate_update(resource, obj, old, status_only=target.subresource == "status")
        )
        if options and not target.subresource:
            options.warnings.extend(warnings_of(resource, obj, old))
        self._allocate(target, obj)
        admission_chain.validate(self._admission, "UPDATE", resource, obj, old)
        return self.save(target, obj, old, options)

    def _admitted(self, operation: str, resource: ResourceType, obj: Object, labels: dict[str, str]) -> Object:
        """The object as the plug-ins leave it, with the defaults of what they added."""
        admitted = admission_chain.mutate(self._admission, operation, resource, obj, labels)
        return obj if admitted is obj else apply_defaults(resource, admitted)

    def save(self, target: Target, obj: Object, old: Object, options: WriteOptions | None = None) -> Object:
        """Write a changed object; remove it if it only waited for its last finalizer; write nothing if nothing changed."""
        if options and options.dry_run:
            obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            return obj
        if same(obj, old):
            return old
        if "deletionTimestamp" in obj["metadata"] and self.strategy(target.resource).is_complete(obj):
            self.store.remove(target.key)
            obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            return obj
        return self.store.put(target.key, obj)

    def _check_names(self, target: Target, metadata: Object) -> None:
        if target.resource.namespaced:
            if metadata.get("namespace", target.namespace) not in (target.namespace, ""):
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            metadata["namespace"] = target.namespace
        else:
            metadata.pop("namespace", None)
        name = metadata.get("name")
        if target.name and name != target.name:
            if not name:
                raise bad_request(
                    f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided"
                )
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")

    def _check_version(self, target: Target, obj: Object, old: Object, *, conditional: bool) -> None:
        metadata, known = obj["metadata"], old["metadata"]
        asked = metadata.get("resourceVersion") or ""
        try:
            is_named = bool(asked and unsigned(asked))
        except ValueError as problem:
            raise internal_error(str(problem)) from None
        if not conditional and metadata.get("uid") not in (None, "", known["uid"]):
            key = "/".join(("/registry", target.resource.plural, *target.key[1:])).replace("//", "/")
            raise target.conflict(
                f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {known['uid']}"
            )
        if not is_named:
            if not self.strategy(target.resource).unconditional_update and not conditional:
                error = FieldError(
                    "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
                )
                # The real server names the resource here where it names the kind elsewhere.
                raise invalid(replace(target.resource, kind=target.resource.plural), target.name, [error])
        elif asked != known["resourceVersion"]:
            raise target.conflict(_MODIFIED)

    def _labels(self, namespace: str) -> dict[str, str]:
        found = self.store.get(Key(NAMESPACES, "", namespace)) if namespace else None
        return dict(found["metadata"].get("labels") or {}) if found else {}

    def _labels_of_open_namespace(self, target: Target) -> dict[str, str]:
        if not target.resource.namespaced:
            return {}
        namespace = self.store.get(Key(NAMESPACES, "", target.namespace))
        if namespace is None:
            raise not_found("", NAMESPACES, target.namespace)
        if "deletionTimestamp" in namespace["metadata"]:
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {target.namespace} is being terminated",
                "field": "metadata.namespace",
            }
            why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise forbidden(target.resource.group, target.resource.plural, target.name, why, [cause])
        return dict(namespace["metadata"].get("labels") or {})

    def _allocate(self, target: Target, obj: Object) -> None:
        if target.resource.group_resource == _SERVICES:
            others = (
                other
                for other in self.store.list_objects(_SERVICES)
                if other["metadata"]["uid"] != obj["metadata"]["uid"]
            )
            service_addresses.allocate(obj, others, self._cluster_ips)

    def _refuse(self, resource: ResourceType, name: str, errors: Sequence[FieldError]) -> None:
        if errors:
            raise invalid(resource, name, list(errors))


def _names_a_version(metadata: Object) -> bool:
    """What is no number is not looked at when something is created."""
    try:
        return unsigned(metadata.get("resourceVersion") or "0") != 0
    except ValueError:
        return False


def _generated_name(prefix: str) -> str:
    return prefix[:_GENERATED_PREFIX_LENGTH] + "".join(secrets.choice(_NAME_ALPHABET) for _ in range(5))


def _in_order(obj: Object) -> Object:
    return {**{key: obj[key] for key in _ORDER if key in obj}, **obj}


def _changed_identity(obj: Object, old: Object) -> list[FieldError]:
    errors = [
        FieldError("FieldValueInvalid", f"metadata.{field}", f'Invalid value: "{asked}": field is immutable')
        for field in ("uid", "deletionTimestamp")
        if (asked := obj["metadata"].get(field)) and asked != old["metadata"].get(field)
    ]
    return errors * 2  # The real server checks metadata twice, and lists both findings as causes.


def _forget_system_metadata(metadata: Object) -> None:
    for field in (*_SYSTEM_METADATA, "selfLink"):
        if field != "generation":  # kept by the real server for kinds that do not count it
            metadata.pop(field, None)


def _keep_system_metadata(obj: Object, old: Object) -> None:
    metadata, known = obj["metadata"], old["metadata"]
    metadata.pop("selfLink", None)
    for field in _SYSTEM_METADATA:
        if field in known:
            metadata[field] = known[field]
        else:
            metadata.pop(field, None)
