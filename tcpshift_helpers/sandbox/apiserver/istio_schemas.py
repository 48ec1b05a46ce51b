"""Custom resource definitions of Istio's Gateway, VirtualService and DestinationRule, written for this project.

Pure data made by a few small functions. Names, types, required fields, enums and bounds are those of Istio's custom
resource definitions; the descriptions are short and our own. Of the rules in CEL, those of durations and of a Gateway's
certificates are here.

Source: field names and types of the definitions of Istio 1.31.
"""

from __future__ import annotations

from typing import Any

from tcpshift_helpers.sandbox.apiserver.schema_building import array as _list
from tcpshift_helpers.sandbox.apiserver.schema_building import described as _described
from tcpshift_helpers.sandbox.apiserver.schema_building import enumeration as _enum
from tcpshift_helpers.sandbox.apiserver.schema_building import mapping as _map
from tcpshift_helpers.sandbox.apiserver.schema_building import structure as _object

Schema = dict[str, Any]

GROUP = "networking.istio.io"
VERSIONS = ("v1", "v1beta1", "v1alpha3")

_TEXT: Schema = {"type": "string"}
_BOOL: Schema = {"type": "boolean"}
_NULLABLE_BOOL: Schema = {"type": "boolean", "nullable": True}
_INT32: Schema = {"type": "integer", "format": "int32"}
_UINT32: Schema = {"type": "integer", "minimum": 0, "maximum": 4294967295}
_NULLABLE_UINT32: Schema = {**_UINT32, "nullable": True}
_UINT64: Schema = {"type": "integer", "minimum": 0}
_DOUBLE: Schema = {"type": "number", "format": "double"}
_PERCENT: Schema = {**_DOUBLE, "minimum": 0, "maximum": 100, "nullable": True}
_DURATION: Schema = {
    "type": "string",
    "x-kubernetes-validations": [
        {"rule": "duration(self) >= duration('1ms')", "message": "must be a valid duration greater than 1ms"}
    ],
}
_INT_OR_STRING: Schema = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _one_of(schema: Schema, *groups: tuple[str, ...]) -> Schema:
    """At most one field of each group may be set."""
    alternatives = []
    for group in groups:
        set_ones = [{"required": [field]} for field in group]
        alternatives.append({"oneOf": [{"not": {"anyOf": set_ones}}, *set_ones]})
    return {**schema, **alternatives[0]} if len(alternatives) == 1 else {**schema, "allOf": alternatives}


def _not_both(one: str, other: str) -> Schema:
    """A rule against setting two fields at once."""
    rule = f"!(has(self.{one}) && has(self.{other}))"
    return {"rule": rule, "message": f"only one of {one} or {other} can be set"}


_TEXTS = _list(_TEXT)
_LABELS = _map(_TEXT)
_PORT_SELECTOR = _object(number=_UINT32)
_DESTINATION = _object(
    ("host",),
    host=_described("The service to send to, by its name in the registry.", _TEXT),
    port=_described("Which of the service's ports.", _PORT_SELECTOR),
    subset=_described("A subset of the service, named by a DestinationRule.", _TEXT),
)
_WEIGHT = _described("The share of connections, relative to the sum of all weights of the rule.", _INT32)
_ROUTE = _object(("destination",), destination=_DESTINATION, weight=_WEIGHT)
_FRACTION = _object(value=_DOUBLE)
_STRING_MATCH = _one_of(_object(exact=_TEXT, prefix=_TEXT, regex=_TEXT), ("exact", "prefix", "regex"))


def _status() -> Schema:
    condition = _object(
        **dict.fromkeys(("type", "status", "reason", "message"), _TEXT),
        lastProbeTime=_TIME,
        lastTransitionTime=_TIME,
        observedGeneration=_INT_OR_STRING,
    )
    message = _object(
        documentationUrl=_TEXT,
        level=_enum("UNKNOWN", "ERROR", "WARNING", "INFO"),
        type=_object(code=_TEXT, name=_TEXT),
    )
    fields = _object(conditions=_list(condition), observedGeneration=_INT_OR_STRING, validationMessages=_list(message))
    return {**fields, "x-kubernetes-preserve-unknown-fields": True}


def _gateway() -> Schema:
    tls_version = _enum("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
    certificate = _object(caCertificates=_TEXT, privateKey=_TEXT, serverCertificate=_TEXT)
    tls = _object(
        **dict.fromkeys(("caCertCredentialName", "caCertificates", "caCrl", "credentialName", "privateKey"), _TEXT),
        **dict.fromkeys(("cipherSuites", "subjectAltNames", "verifyCertificateHash", "verifyCertificateSpki"), _TEXTS),
        credentialNames=_list(_TEXT, minItems=1, maxItems=2),
        httpsRedirect=_BOOL,
        insecureSkipVerify=_NULLABLE_BOOL,
        maxProtocolVersion=tls_version,
        minProtocolVersion=tls_version,
        mode=_enum("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"),
        serverCertificate=_TEXT,
        tlsCertificates=_list(certificate, minItems=1, maxItems=2),
    )
    tls["x-kubernetes-validations"] = [
        _not_both("credentialNames", "tlsCertificates"),
        _not_both("credentialName", "credentialNames"),
        _not_both("credentialName", "tlsCertificates"),
    ]
    port = _object(
        ("number", "protocol", "name"),
        number=_described("The port the proxy listens on.", _UINT32),
        protocol=_described("HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS.", _TEXT),
        name=_described("A name for the port.", _TEXT),
        targetPort=_UINT32,
    )
    server = _object(
        ("port", "hosts"),
        bind=_TEXT,
        defaultEndpoint=_TEXT,
        hosts=_described("Hosts that routes may attach to.", _TEXTS),
        name=_TEXT,
        port=port,
        tls=tls,
    )
    return _object(
        selector=_described("Labels of the pods that run this gateway.", _LABELS),
        servers=_described("What the gateway listens for.", _list(server)),
    )


def _header_operations() -> Schema:
    operations = _object(add=_LABELS, remove=_TEXTS, set=_LABELS)
    return _object(request=operations, response=operations)


def _fault() -> Schema:
    abort = _object(grpcStatus=_TEXT, http2Error=_TEXT, httpStatus=_INT32, percentage=_FRACTION)
    delay = _object(exponentialDelay=_DURATION, fixedDelay=_DURATION, percent=_INT32, percentage=_FRACTION)
    return _object(
        abort=_one_of(abort, ("httpStatus", "grpcStatus", "http2Error")),
        delay=_one_of(delay, ("fixedDelay", "exponentialDelay")),
    )


def _http_match() -> Schema:
    return _object(
        **dict.fromkeys(("authority", "method", "scheme", "uri"), _STRING_MATCH),
        **{name: _map(_STRING_MATCH) for name in ("headers", "queryParams", "withoutHeaders")},
        **dict.fromkeys(("name", "sourceNamespace", "statPrefix"), _TEXT),
        gateways=_TEXTS,
        ignoreUriCase=_BOOL,
        port=_UINT32,
        sourceLabels=_LABELS,
    )


def _http_route() -> Schema:
    headers = _header_operations()
    cors = _object(
        **dict.fromkeys(("allowHeaders", "allowMethods", "allowOrigin", "exposeHeaders"), _TEXTS),
        allowCredentials=_NULLABLE_BOOL,
        allowOrigins=_list(_STRING_MATCH),
        maxAge=_DURATION,
        unmatchedPreflights=_enum("UNSPECIFIED", "FORWARD", "IGNORE"),
    )
    body = _one_of(_object(string=_TEXT, bytes={"type": "string", "format": "byte"}), ("string", "bytes"))
    redirect = _object(
        **dict.fromkeys(("authority", "prefixRewrite", "scheme", "uri"), _TEXT),
        derivePort=_enum("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
        port=_UINT32,
        redirectCode=_UINT32,
    )
    retries = _object(
        attempts=_INT32,
        backoff=_DURATION,
        perTryTimeout=_DURATION,
        retryIgnorePreviousHosts=_NULLABLE_BOOL,
        retryOn=_TEXT,
        retryRemoteLocalities=_NULLABLE_BOOL,
    )
    route = _object(("destination",), destination=_DESTINATION, headers=headers, weight=_WEIGHT)
    return _object(
        corsPolicy=cors,
        delegate=_object(name=_TEXT, namespace=_TEXT),
        directResponse=_object(("status",), body=body, status=_UINT32),
        fault=_fault(),
        headers=headers,
        match=_list(_http_match()),
        mirror=_DESTINATION,
        mirror_percent=_NULLABLE_UINT32,
        mirrorPercent=_NULLABLE_UINT32,
        mirrorPercentage=_FRACTION,
        mirrors=_list(_object(("destination",), destination=_DESTINATION, percentage=_FRACTION)),
        name=_TEXT,
        redirect=_one_of(redirect, ("port", "derivePort")),
        retries=retries,
        rewrite=_object(authority=_TEXT, uri=_TEXT, uriRegexRewrite=_object(match=_TEXT, rewrite=_TEXT)),
        route=_list(route),
        timeout=_DURATION,
    )


def _virtual_service() -> Schema:
    l4_match = {
        **dict.fromkeys(("destinationSubnets", "gateways"), _TEXTS),
        "port": _described("The port of the gateway that the connection came in by.", _UINT32),
        "sourceLabels": _LABELS,
        "sourceNamespace": _TEXT,
    }
    tcp = _object(
        match=_described(
            "Which connections this rule is for; all, without it.", _list(_object(**l4_match, sourceSubnet=_TEXT))
        ),
        route=_described("Where they go, split by weight.", _list(_ROUTE)),
    )
    tls = _object(("match",), match=_list(_object(("sniHosts",), **l4_match, sniHosts=_TEXTS)), route=_list(_ROUTE))
    return _object(
        exportTo=_TEXTS,
        gateways=_described("Gateways and sidecars that apply these routes.", _TEXTS),
        hosts=_described("Destinations that the routes are for.", _TEXTS),
        http=_list(_http_route()),
        tcp=_described("Rules for TCP connections.", _list(tcp)),
        tls=_list(tls),
    )


def _connection_pool() -> Schema:
    http = _object(
        **dict.fromkeys(("http1MaxPendingRequests", "http2MaxRequests", "maxConcurrentStreams"), _INT32),
        **dict.fromkeys(("maxRequestsPerConnection", "maxRetries"), _INT32),
        h2UpgradePolicy=_enum("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
        http2KeepAlive=_object(interval=_DURATION, timeout=_DURATION),
        idleTimeout=_DURATION,
        useClientProtocol=_BOOL,
    )
    tcp = _object(
        connectTimeout=_DURATION,
        idleTimeout=_TEXT,
        maxConnectionDuration=_DURATION,
        maxConnections=_INT32,
        tcpKeepalive=_object(interval=_DURATION, probes=_UINT32, time=_DURATION),
    )
    return _object(http=http, tcp=tcp)


def _load_balancer() -> Schema:
    cookie = _object(
        ("name",), attributes=_list(_object(("name",), name=_TEXT, value=_TEXT)), name=_TEXT, path=_TEXT, ttl=_TEXT
    )
    consistent_hash = _object(
        httpCookie=cookie,
        httpHeaderName=_TEXT,
        httpQueryParameterName=_TEXT,
        maglev=_object(tableSize=_UINT64),
        minimumRingSize=_UINT64,
        ringHash=_object(minimumRingSize=_UINT64),
        useSourceIp=_BOOL,
    )
    locality = {
        "enabled": _NULLABLE_BOOL,
        "failover": _list(_object(**{"from": _TEXT, "to": _TEXT})),
        "failoverPriority": _TEXTS,
    }
    distribute = _list(_object(**{"from": _TEXT, "to": _map(_UINT32)}))
    warmup = _object(
        ("duration",),
        aggression={**_DOUBLE, "minimum": 0, "nullable": True},
        duration=_DURATION,
        minimumPercent=_PERCENT,
    )
    hash_keys = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
    balancer = _object(
        consistentHash=_one_of(consistent_hash, hash_keys, ("ringHash", "maglev")),
        localityLbSetting=_object(**locality, distribute=distribute),
        simple=_enum("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"),
        warmup=warmup,
        warmupDurationSecs=_DURATION,
        zoneAwareLbSetting=_object(**locality, minClusterSize={**_NULLABLE_UINT32, "minimum": 1}),
    )
    return _one_of(balancer, ("simple", "consistentHash"))


def _outlier_detection() -> Schema:
    return _object(
        **dict.fromkeys(
            ("consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"), _NULLABLE_UINT32
        ),
        **dict.fromkeys(("consecutiveErrors", "maxEjectionPercent", "minHealthPercent"), _INT32),
        baseEjectionTime=_DURATION,
        interval=_DURATION,
        outlierDetectionHttpErrorCodes=_list({"type": "integer", "minimum": 100, "maximum": 599}),
        splitExternalLocalOriginErrors=_BOOL,
    )


def _traffic_policy() -> Schema:
    tls = _object(
        **dict.fromkeys(("caCertificates", "caCrl", "clientCertificate", "credentialName", "privateKey", "sni"), _TEXT),
        insecureSkipVerify=_NULLABLE_BOOL,
        mode=_enum("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
        subjectAltNames=_TEXTS,
    )
    shared = {
        "connectionPool": _connection_pool(),
        "loadBalancer": _load_balancer(),
        "outlierDetection": _outlier_detection(),
        "tls": tls,
    }
    return _object(
        **shared,
        portLevelSettings=_list(_object(**shared, port=_PORT_SELECTOR), maxItems=4096),
        proxyProtocol=_object(version=_enum("V1", "V2")),
        retryBudget=_object(budgetInterval=_TEXT, minRetryConcurrency=_UINT32, percent=_PERCENT),
        tunnel=_object(("targetHost", "targetPort"), protocol=_TEXT, targetHost=_TEXT, targetPort=_UINT32),
    )


def _destination_rule() -> Schema:
    policy = _traffic_policy()
    subset = _object(
        ("name",),
        labels=_described("Labels of the pods in this subset.", _LABELS),
        name=_described("What routes call the subset.", _TEXT),
        trafficPolicy=policy,
    )
    return _object(
        ("host",),
        exportTo=_TEXTS,
        host=_described("The service these rules are for, by its name in the registry.", _TEXT),
        subsets=_described("Named parts of the service.", _list(subset)),
        trafficPolicy=policy,
        workloadSelector=_object(matchLabels=_map({"type": "string", "maxLength": 63})),
    )


def definitions() -> list[dict[str, Any]]:
    """The three `CustomResourceDefinition`s."""
    return [
        _definition("Gateway", "gw", "A proxy at the edge of the mesh and the ports it listens on.", _gateway()),
        _definition(
            *("VirtualService", "vs", "Rules that say where traffic goes.", _virtual_service()),
            Gateways=".spec.gateways",
            Hosts=".spec.hosts",
        ),
        _definition(
            *("DestinationRule", "dr", "Policies for traffic to a service, and its subsets.", _destination_rule()),
            Host=".spec.host",
        ),
    ]


def _definition(kind: str, short_name: str, description: str, spec: Schema, **columns: str) -> dict[str, Any]:
    schema = {"description": description, **_object(spec=spec, status=_status())}
    singular = kind.lower()
    version: dict[str, Any] = {"schema": {"openAPIV3Schema": schema}, "served": True, "subresources": {"status": {}}}
    if columns:
        texts = [{"jsonPath": path, "name": name, "type": "string"} for name, path in columns.items()]
        age = {"jsonPath": ".metadata.creationTimestamp", "name": "Age", "type": "date"}
        version["additionalPrinterColumns"] = [*texts, age]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["istio-io", "networking-istio-io"],
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{singular}s",
                "shortNames": [short_name],
                "singular": singular,
            },
            "scope": "Namespaced",
            "versions": [{"name": name, "storage": name == VERSIONS[0], **version} for name in VERSIONS],
        },
    }
