"""Custom resource definitions of the Gateway API's GatewayClass, Gateway, TCPRoute and ReferenceGrant, written for this project.

Pure data made by a few small functions. Names, types, required fields, enums, bounds and defaults are those of the
experimental channel, which alone serves TCPRoute as v1alpha2 still; the descriptions are short and our own. Left out:
the rules written in CEL, fields of the experimental channel alone, and a Gateway's `tls` and `allowedListeners`, for
kinds that are not served here.

Source: field names and types of the definitions of Gateway API 1.6.0.
"""

from __future__ import annotations

from typing import Any

from tcpshift_helpers.sandbox.apiserver.schema_building import array, described, enumeration, mapping, structure

Schema = dict[str, Any]

GROUP = "gateway.networking.k8s.io"
_DEPRECATION = (
    "The v1alpha2 version of TCPRoute has been deprecated and will be removed in a future release of the API. "
    "Please upgrade to v1."
)

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_PATH = r"[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+"
_ATOMIC: Schema = {"x-kubernetes-list-type": "atomic"}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 253}
_SECTION: Schema = {**_NAME, "pattern": f"^{_SUBDOMAIN}$"}
_NAMESPACE: Schema = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": f"^{_LABEL}$"}
_GROUP: Schema = {"type": "string", "maxLength": 253, "pattern": f"^$|^{_SUBDOMAIN}$"}
_KIND: Schema = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"}
_CONTROLLER: Schema = {**_NAME, "pattern": rf"^{_SUBDOMAIN}\/{_PATH}$"}
_PORT: Schema = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535}
_COUNT: Schema = {"type": "integer", "format": "int32"}
_AGE = {"name": "Age", "jsonPath": ".metadata.creationTimestamp", "type": "date"}
_OWN_GROUP: Schema = {**_GROUP, "default": GROUP}


def _list_by(key: str, items: Schema, **bounds: Any) -> Schema:
    return array(items, **bounds, **{"x-kubernetes-list-map-keys": [key], "x-kubernetes-list-type": "map"})


def _conditions(**bounds: Any) -> Schema:
    condition = structure(
        ("lastTransitionTime", "message", "reason", "status", "type"),
        lastTransitionTime=_TIME,
        message={"type": "string", "maxLength": 32768},
        observedGeneration={"type": "integer", "format": "int64", "minimum": 0},
        reason={
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        status=enumeration("True", "False", "Unknown"),
        type={
            "type": "string",
            "maxLength": 316,
            "pattern": rf"^({_SUBDOMAIN}/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
    )
    return _list_by("type", condition, maxItems=8, **bounds)


def _pending(*kinds: str) -> list[dict[str, str]]:
    """What an object's conditions are before a controller took it on."""
    return [
        {
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "message": "Waiting for controller",
            "reason": "Pending",
            "status": "Unknown",
            "type": kind,
        }
        for kind in kinds
    ]


def _parameters(**more: Schema) -> Schema:
    return structure(("group", "kind", "name"), group=_GROUP, kind=_KIND, name=_NAME, **more)


def _gateway_class() -> dict[str, Schema]:
    spec = structure(
        ("controllerName",),
        controllerName=described("The controller that takes care of Gateways of this class.", _CONTROLLER),
        description={"type": "string", "maxLength": 64},
        parametersRef=_parameters(namespace=_NAMESPACE),
    )
    pending = _pending("Accepted")
    features = _list_by("name", structure(("name",), name=_TEXT), maxItems=64)
    status = structure(conditions=_conditions(default=pending), supportedFeatures=features)
    return {"spec": spec, "status": {**status, "default": {"conditions": pending}}}


def _address(*required: str) -> Schema:
    return structure(
        required,
        type={
            **_NAME,
            "default": "IPAddress",
            "pattern": rf"^Hostname|IPAddress|NamedAddress|{_SUBDOMAIN}\/{_PATH}$",
        },
        value={"type": "string", "maxLength": 253},
    )


def _route_kinds() -> Schema:
    return array(structure(("kind",), group=_OWN_GROUP, kind=_KIND), maxItems=8, **_ATOMIC)


def _listener() -> Schema:
    expression = structure(("key", "operator"), key=_TEXT, operator=_TEXT, values=array(_TEXT, **_ATOMIC))
    selector = structure(matchExpressions=array(expression, **_ATOMIC), matchLabels=mapping(_TEXT))
    same = {"from": "Same"}
    origin = {**enumeration("All", "Selector", "Same"), "default": "Same"}
    namespaces = structure(**{"from": origin, "selector": {**selector, "x-kubernetes-map-type": "atomic"}})
    allowed = structure(kinds=_route_kinds(), namespaces={**namespaces, "default": same})
    certificate = structure(
        ("name",),
        group={**_GROUP, "default": ""},
        kind={**_KIND, "default": "Secret"},
        name=_NAME,
        namespace=_NAMESPACE,
    )
    tls = structure(
        certificateRefs=array(certificate, maxItems=64, **_ATOMIC),
        mode={**enumeration("Terminate", "Passthrough"), "default": "Terminate"},
        options={**mapping({"type": "string", "minLength": 0, "maxLength": 4096}), "maxProperties": 16},
    )
    protocol = r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|" + rf"{_SUBDOMAIN}\/[A-Za-z0-9]+$"
    return structure(
        ("name", "port", "protocol"),
        allowedRoutes=described(
            "Which routes may attach: of the same namespace, unless said otherwise.",
            {**allowed, "default": {"namespaces": same}},
        ),
        hostname={**_NAME, "pattern": rf"^(\*\.)?{_SUBDOMAIN}$"},
        name=described("What a route's sectionName calls it.", _SECTION),
        port=described("The port it listens on.", _PORT),
        protocol=described(
            "HTTP, HTTPS, TLS, TCP or UDP.", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": protocol}
        ),
        tls=tls,
    )


def _gateway() -> dict[str, Schema]:
    annotations = {**mapping({"type": "string", "minLength": 0, "maxLength": 4096}), "maxProperties": 16}
    label = {
        "type": "string",
        "minLength": 0,
        "maxLength": 63,
        "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    }
    infrastructure = structure(
        annotations=annotations, labels={**mapping(label), "maxProperties": 8}, parametersRef=_parameters()
    )
    spec = structure(
        ("gatewayClassName", "listeners"),
        addresses=described("Addresses that are asked for.", array(_address(), maxItems=16, **_ATOMIC)),
        gatewayClassName=described("The GatewayClass that says who takes care of it.", _NAME),
        infrastructure=described("Labels and annotations for what is made for it.", infrastructure),
        listeners=described("What it listens for.", _list_by("name", _listener(), minItems=1, maxItems=64)),
    )
    pending = _pending("Accepted", "Programmed")
    listener = structure(
        ("attachedRoutes", "conditions", "name"),
        attachedRoutes=described("How many routes are attached.", _COUNT),
        conditions=_conditions(),
        name=_SECTION,
        supportedKinds=_route_kinds(),
    )
    status = structure(
        addresses=described("Where it is reached.", array(_address("value"), maxItems=16, **_ATOMIC)),
        attachedListenerSets=_COUNT,
        conditions=_conditions(default=pending),
        listeners=_list_by("name", listener, maxItems=64),
    )
    return {"spec": spec, "status": {**status, "default": {"conditions": pending}}}


def _tcp_route() -> dict[str, Schema]:
    parent = structure(
        ("name",),
        group=_OWN_GROUP,
        kind={**_KIND, "default": "Gateway"},
        name=_NAME,
        namespace=_NAMESPACE,
        port=_PORT,
        sectionName=described("The listener; all of the Gateway's, without it.", _SECTION),
    )
    weight = {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1000000, "default": 1}
    backend = structure(
        ("name",),
        group={**_GROUP, "default": ""},
        kind={**_KIND, "default": "Service"},
        name=_NAME,
        namespace=_NAMESPACE,
        port=_PORT,
        weight=described("The share of connections, relative to the sum of all weights of the rule.", weight),
    )
    rule = structure(
        ("backendRefs",),
        backendRefs=described(
            "Where connections go, split by weight.", array(backend, minItems=1, maxItems=16, **_ATOMIC)
        ),
        name=_SECTION,
    )
    spec = structure(
        ("rules",),
        parentRefs=described("Gateways it attaches to.", array(parent, maxItems=32, **_ATOMIC)),
        rules=array(rule, minItems=1, maxItems=1, **_ATOMIC),
    )
    told = structure(
        ("conditions", "controllerName", "parentRef"),
        conditions=_conditions(minItems=1),
        controllerName=_CONTROLLER,
        parentRef=parent,
    )
    return {"spec": spec, "status": structure(("parents",), parents=array(told, maxItems=32, **_ATOMIC))}


def _reference_grant() -> dict[str, Schema]:
    source = structure(("group", "kind", "namespace"), group=_GROUP, kind=_KIND, namespace=_NAMESPACE)
    target = structure(("group", "kind"), group=_GROUP, kind=_KIND, name=_NAME)
    fields = {
        "from": described("Who may refer to what is named under `to`.", array(source, minItems=1, maxItems=16)),
        "to": described("What of this namespace may be referred to.", array(target, minItems=1, maxItems=16)),
    }
    return {"spec": structure(("from", "to"), **{name: {**one, **_ATOMIC} for name, one in fields.items()})}


def definitions() -> list[dict[str, Any]]:
    """The four `CustomResourceDefinition`s."""
    gateway_class = "A kind of Gateways that one controller takes care of."
    gateway = "A place where traffic comes in, and what it listens for."
    tcp_route = "Where the TCP connections of a Gateway's listener go."
    reference_grant = "Which routes elsewhere may lead to this namespace."
    return [
        _definition(
            *("GatewayClass", gateway_class, _gateway_class()),
            short_names=["gc"],
            scope="Cluster",
            columns=[
                _column("Controller", ".spec.controllerName"),
                _column("Accepted", _status_of("Accepted")),
                _AGE,
                {**_column("Description", ".spec.description"), "priority": 1},
            ],
        ),
        _definition(
            *("Gateway", gateway, _gateway()),
            short_names=["gtw"],
            columns=[
                _column("Class", ".spec.gatewayClassName"),
                _column("Address", ".status.addresses[*].value"),
                _column("Programmed", _status_of("Programmed")),
                _AGE,
            ],
        ),
        _definition("TCPRoute", tcp_route, _tcp_route(), other_version="v1alpha2", deprecationWarning=_DEPRECATION),
        _definition("ReferenceGrant", reference_grant, _reference_grant(), short_names=["refgrant"], stored="v1beta1"),
    ]


def _column(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "jsonPath": path, "type": "string"}


def _status_of(condition: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].status'


def _definition(
    kind: str,
    description: str,
    parts: dict[str, Schema],
    *,
    short_names: list[str] | None = None,
    scope: str = "Namespaced",
    other_version: str = "v1beta1",
    stored: str = "v1",
    columns: list[dict[str, Any]] | None = None,
    **deprecated: str,
) -> dict[str, Any]:
    schema = {"description": description, **structure(("spec",), **parts)}
    version: dict[str, Any] = {
        "schema": {"openAPIV3Schema": schema},
        "served": True,
        "additionalPrinterColumns": columns or [_AGE],
    }
    if "status" in parts:
        version["subresources"] = {"status": {}}
    singular = kind.lower()
    plural = f"{singular}es" if singular.endswith("s") else f"{singular}s"
    names = {
        "categories": ["gateway-api"],
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": singular,
        **({"shortNames": short_names} if short_names else {}),
    }
    newest, other = ({**version, "name": name, "storage": name == stored} for name in ("v1", other_version))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            "annotations": {
                "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/4530",
                f"{GROUP}/bundle-version": "v1.6.0",
                f"{GROUP}/channel": "experimental",
            },
        },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": scope,
            "versions": [newest, {**other, "deprecated": True, **deprecated} if deprecated else other],
        },
    }
