"""Custom resource definitions: what they add to the server, and which of them it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid

import pytest

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SIZE = {"type": "integer", "minimum": 1, "default": 3}
SCHEMA = {
    "type": "object",
    "description": "A thing to try with.",
    "properties": {
        "spec": {
            "type": "object",
            "description": "What is wished.",
            "required": ["color"],
            "properties": {
                "color": {"type": "string", "enum": ["red", "blue"], "description": "How it looks."},
                "size": SIZE,
                "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "when": {"type": "string", "format": "date-time"},
                "address": {"type": "string", "format": "ipv4"},
                "port": {"x-kubernetes-int-or-string": True},
                "note": {"type": "string", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "maxItems": 2,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                    },
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {"ready": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}
SCALE = {
    "specReplicasPath": ".spec.size",
    "statusReplicasPath": ".status.ready",
    "labelSelectorPath": ".status.selector",
}
COLUMNS = [
    {"name": "Color", "type": "string", "jsonPath": ".spec.color", "description": "Its color"},
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def definition(group, schema=None, plural="widgets", kind="Widget", names=None, **version):
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema or SCHEMA}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **(names or {})},
            "versions": [one],
        },
    }


def eventually(answer, holds, seconds=30):
    """Poll: a real server serves a kind a moment after its definition was stored."""
    deadline = time.monotonic() + seconds
    while not holds(found := answer()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def condition_of(api, name, kind):
    conditions = (api.get(f"{DEFINITIONS}/{name}").body.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def establish(api, wished):
    created = api.post(DEFINITIONS, wished)
    assert created.code == 201, created.body
    group, plural = wished["spec"]["group"], wished["spec"]["names"]["plural"]
    name = wished["metadata"]["name"]
    eventually(lambda: condition_of(api, name, "Established"), lambda one: one.get("status") == "True")
    eventually(lambda: api.get(f"/apis/{group}/v1/{plural}").code, lambda code: code == 200)
    return created.body


@pytest.fixture
def group(api):
    """An API group of the test's own; its definitions go when the test ends."""
    name = f"crd-{uuid.uuid4().hex[:8]}.example.com"
    yield name
    for one in api.get(DEFINITIONS).body["items"]:
        if one["spec"]["group"] == name:
            api.delete(f"{DEFINITIONS}/{one['metadata']['name']}")


@pytest.fixture
def widgets(api, group, namespace):
    """Path of a kind's objects in the test's namespace."""
    names = {"shortNames": ["wd"], "categories": ["toys"]}
    subresources = {"status": {}, "scale": SCALE}
    establish(api, definition(group, names=names, subresources=subresources, additionalPrinterColumns=COLUMNS))
    return f"/apis/{group}/v1/namespaces/{namespace}/widgets"


def widget(widgets, name="w", **spec):
    group = widgets.split("/")[2]
    spec = {"color": "red", **spec}
    return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def refusal(api, widgets, **spec):
    answer = api.post(widgets, widget(widgets, "bad", **spec))
    assert answer.error[:2] == (422, "Invalid"), answer.body
    return answer.error[2].partition(" is invalid: ")[2]


@pytest.mark.parity("API: CustomResourceDefinition, names and conditions", "works")
def test_a_definition_has_its_names_accepted_and_is_established(api, group):
    created = establish(api, definition(group))
    assert created["spec"]["names"] == {
        **{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    }
    assert created["spec"]["conversion"] == {"strategy": "None"}
    status = api.get(f"{DEFINITIONS}/widgets.{group}").body["status"]
    assert status["acceptedNames"] == created["spec"]["names"]
    assert status["storedVersions"] == ["v1"]
    assert [(one["type"], one["status"], one["reason"], one["message"]) for one in status["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]


def test_a_definition_is_applied_on_the_server_s_side(api, group):
    path = f"{DEFINITIONS}/widgets.{group}?fieldManager=tester"
    applied = api.patch(path, definition(group), "application/apply-patch+yaml")
    assert applied.code == 201, applied.body
    properties = applied.body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert (properties["color"]["enum"], properties["size"]["default"]) == (["red", "blue"], 3)


def test_a_name_that_is_taken_is_not_accepted(api, group):
    establish(api, definition(group, names={"shortNames": ["wd"]}))
    other = definition(group, plural="gadgets", kind="Gadget", names={"shortNames": ["wd"]})
    assert api.post(DEFINITIONS, other).code == 201
    refused = eventually(lambda: condition_of(api, f"gadgets.{group}", "NamesAccepted"), bool)
    assert (refused["status"], refused["reason"]) == ("False", "ShortNamesConflict")
    assert refused["message"] == '"wd" is already in use'
    waiting = eventually(lambda: condition_of(api, f"gadgets.{group}", "Established"), bool)
    assert (waiting["status"], waiting["reason"]) == ("False", "NotAccepted")
    assert waiting["message"] == "not all names are accepted"


@pytest.mark.parity("API: custom resources in discovery and OpenAPI", "works")
def test_discovery_tells_of_the_kind(api, group, widgets):
    listed = api.get(f"/apis/{group}/v1").body["resources"]
    entry = listed[0]
    assert (entry["name"], entry["singularName"], entry["namespaced"], entry["kind"], entry["shortNames"]) == (
        *("widgets", "widget", True, "Widget"),
        ["wd"],
    )
    assert entry["categories"] == ["toys"]
    assert sorted(entry["verbs"]) == [
        *("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    ]
    rest = {one["name"]: one for one in listed[1:]}
    assert rest.keys() == {"widgets/status", "widgets/scale"}
    scale = rest["widgets/scale"]
    assert (scale["kind"], scale["group"], scale["version"]) == ("Scale", "autoscaling", "v1")
    assert group in [one["name"] for one in api.get("/apis").body["groups"]]


def test_aggregated_discovery_tells_of_the_kind(api, group, widgets):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    def found():
        return [one for one in api.get("/apis", accept=accept).body["items"] if one["metadata"]["name"] == group]

    versions = eventually(found, bool)[0]["versions"]
    entry = versions[0]["resources"][0]
    assert (versions[0]["version"], entry["resource"], entry["scope"]) == ("v1", "widgets", "Namespaced")
    assert entry["responseKind"] == {"group": group, "version": "v1", "kind": "Widget"}
    assert sorted(one["subresource"] for one in entry["subresources"]) == ["scale", "status"]


def test_openapi_has_the_schema_with_descriptions(api, group, widgets):
    index = eventually(lambda: api.get("/openapi/v3").body["paths"], lambda paths: f"apis/{group}/v1" in paths)
    document = api.get(index[f"apis/{group}/v1"]["serverRelativeURL"]).body
    schemas = document["components"]["schemas"]
    backwards = ".".join(reversed(group.split(".")))
    schema = schemas[f"{backwards}.v1.Widget"]
    assert schema["x-kubernetes-group-version-kind"] == [{"group": group, "version": "v1", "kind": "Widget"}]
    assert schema["description"] == "A thing to try with."
    assert schema["properties"].keys() == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert schema["properties"]["spec"]["properties"]["color"] == SCHEMA["properties"]["spec"]["properties"]["color"]
    assert f"{backwards}.v1.WidgetList" in schemas


@pytest.mark.parity("API: custom resources, defaults, pruning and storage", "works")
def test_defaults_are_filled_in_and_unknown_fields_dropped(api, widgets):
    spec = {"unknown": 1, "free": {"any": {"thing": [1]}}, "parts": [{"name": "a", "more": 2}], "note": None}
    created = api.post(widgets, widget(widgets, **spec))
    assert created.code == 201, created.body
    wished = {"color": "red", "size": 3, "free": {"any": {"thing": [1]}}, "parts": [{"name": "a", "count": 1}]}
    assert created.body["spec"] == {**wished, "note": None}
    assert api.get(f"{widgets}/w").body["spec"] == {**wished, "note": None}
    assert created.body["metadata"]["generation"] == 1


def test_unknown_fields_are_refused_when_validation_is_strict(api, widgets):
    body = widget(widgets, unknown=1, parts=[{"name": "a", "more": 2}])
    refused = api.post(f"{widgets}?fieldValidation=Strict", body)
    unknown = 'strict decoding error: unknown field "spec.parts[0].more", unknown field "spec.unknown"'
    assert (refused.code, refused.error[1]) == (400, "BadRequest")
    assert refused.error[2].endswith(unknown)
    assert api.post(f"{widgets}?fieldValidation=Warn", body).warnings == [
        r'299 - "unknown field \"spec.parts[0].more\""',
        r'299 - "unknown field \"spec.unknown\""',
    ]


REFUSED = [
    ({"color": "green"}, 'spec.color: Unsupported value: "green": supported values: "red", "blue"'),
    ({"color": None}, "spec.color: Required value"),
    ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
    (
        {"size": "x"},
        '[spec.size: Invalid value: "string": spec.size in body must be of type integer: "string", '
        ".spec.size: Invalid value: 0: .spec.size accessor error: x is of the type string, expected int64]",
    ),
    ({"code": "A"}, "spec.code: Invalid value: \"A\": spec.code in body should match '^[a-z]+$'"),
    ({"code": "abcdef"}, "spec.code: Too long: may not be more than 5 bytes"),
    ({"when": "x"}, 'spec.when: Invalid value: "x": spec.when in body must be of type date-time: "x"'),
    ({"address": "::1"}, 'spec.address: Invalid value: "::1": spec.address in body must be of type ipv4: "::1"'),
    ({"port": 1.5}, 'spec.port: Invalid value: "number": spec.port in body must be of type integer,string: "number"'),
    ({"names": ["a", "a"]}, 'spec.names[1]: Duplicate value: "a"'),
    ({"parts": [{"name": "a"}, {"name": "a"}]}, 'spec.parts[1]: Duplicate value: {"name":"a"}'),
    ({"parts": [{"name": str(n)} for n in range(3)]}, "spec.parts: Too many: 3: must have at most 2 items"),
    ({"parts": [{}]}, "spec.parts[0].name: Required value"),
]


@pytest.mark.parity("API: custom resources, validation by the schema", "works")
@pytest.mark.parametrize(("spec", "sentence"), REFUSED, ids=[sentence[:30] for _, sentence in REFUSED])
def test_a_value_that_the_schema_refuses(api, widgets, spec, sentence):
    assert refusal(api, widgets, **spec) == sentence


def test_an_update_is_not_blamed_for_what_it_leaves_as_it_was(api, group, widgets):
    api.post(widgets, widget(widgets, code="abc"))
    path = f"{DEFINITIONS}/widgets.{group}"
    stricter = {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/code"}
    changed = api.patch(
        path, [{**stricter, "value": {"type": "string", "maxLength": 2}}], "application/json-patch+json"
    )
    assert changed.code == 200, changed.body
    eventually(
        lambda: api.post(f"{widgets}?dryRun=All", widget(widgets, "x", code="abc")).code, lambda code: code == 422
    )
    assert api.patch(f"{widgets}/w", {"spec": {"color": "blue"}}).code == 200
    assert api.patch(f"{widgets}/w", {"spec": {"code": "abcd"}}).code == 422


@pytest.mark.parity("API: custom resources whose schema names no fields, nested deep", "works")
def test_a_schema_that_names_no_fields_takes_all_as_deep_as_they_are(api, group, namespace):
    """And so deep objects go through everything that is done to an object: 200 levels are what a body may have here."""
    establish(api, definition(group, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    path, levels = f"/apis/{group}/v1/namespaces/{namespace}/widgets", 190
    for number, (opening, closing) in enumerate([('{"a":', "}"), ("[", "]")]):
        deep = json.loads(opening * levels + "1" + closing * levels)
        head = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": f"w{number}"}}
        created = api.post(path, {**head, "spec": deep})
        assert (created.code, created.body["spec"]) == (201, deep)
        assert api.put(f"{path}/w{number}", {**created.body, "spec": [deep]}).code == 200
        assert api.patch(f"{path}/w{number}", {"other": deep}).body["other"] == deep
        copied = [{"op": "copy", "from": "/other", "path": "/third"}, {"op": "test", "path": "/third", "value": deep}]
        assert api.patch(f"{path}/w{number}", copied, "application/json-patch+json").body["third"] == deep
        applied = {**head, "fourth": deep}
        answer = api.patch(f"{path}/w{number}?fieldManager=m", applied, "application/apply-patch+yaml")
        assert (answer.code, answer.body["fourth"]) == (200, deep)
    assert [item["fourth"] for item in api.get(path).body["items"]][1] == deep


@pytest.mark.parity("API: custom resources, status and scale", "works")
def test_status_is_a_subresource(api, widgets):
    created = api.post(widgets, {**widget(widgets), "status": {"ready": 7}}).body
    assert "status" not in created
    changed = api.patch(f"{widgets}/w/status", {"spec": {"color": "blue"}, "status": {"ready": 2}}).body
    assert (changed["spec"]["color"], changed["status"]) == ("red", {"ready": 2})
    assert changed["metadata"]["generation"] == 1
    again = api.patch(f"{widgets}/w", {"spec": {"color": "blue"}, "status": {"ready": 9}}).body
    assert (again["status"], again["metadata"]["generation"]) == ({"ready": 2}, 2)
    refused = api.patch(f"{widgets}/w/status", {"status": {"ready": "x"}})
    assert refused.error[2].partition(" is invalid: ")[2] == (
        '[status.ready: Invalid value: "string": ready in body must be of type integer: "string", '
        ".status.ready: Invalid value: 0: .status.ready accessor error: x is of the type string, expected int64]"
    )


def test_scale_is_read_and_written_at_the_paths_of_the_definition(api, widgets):
    api.post(widgets, widget(widgets))
    api.patch(f"{widgets}/w/status", {"status": {"ready": 2, "selector": "a=b"}})
    scale = api.get(f"{widgets}/w/scale").body
    assert (scale["kind"], scale["apiVersion"], scale["metadata"]["name"]) == ("Scale", "autoscaling/v1", "w")
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    assert api.patch(f"{widgets}/w/scale", {"spec": {"replicas": 5}}).body["spec"] == {"replicas": 5}
    assert api.get(f"{widgets}/w").body["spec"]["size"] == 5
    refused = api.patch(f"{widgets}/w/scale", {"spec": {"replicas": -1}})
    assert refused.error[:2] == (422, "Invalid")


@pytest.mark.parity("API: custom resources, printer columns", "works")
def test_columns_are_those_of_the_definition(api, widgets):
    api.post(widgets, widget(widgets))
    table = api.get(widgets, accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    shown = [(one["name"], one["type"], one["priority"]) for one in table["columnDefinitions"]]
    assert shown == [("Name", "string", 0), ("Color", "string", 0), ("Size", "integer", 1), ("Age", "date", 0)]
    assert table["columnDefinitions"][1]["description"] == "Its color"
    assert table["rows"][0]["cells"][:3] == ["w", "red", 3]


def test_a_definition_takes_its_objects_along(api, group, widgets):
    api.post(widgets, widget(widgets))
    held = {**widget(widgets, "held"), "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    api.post(widgets, held)
    assert api.delete(f"{DEFINITIONS}/widgets.{group}").code == 200
    ending = eventually(
        lambda: condition_of(api, f"widgets.{group}", "Terminating"),
        lambda one: one.get("reason") == "InstanceDeletionInProgress",
    )
    assert (ending["status"], ending["message"]) == ("True", "CustomResource deletion is in progress")
    eventually(lambda: api.get(f"{widgets}/w").code, lambda code: code == 404)
    assert "deletionTimestamp" in api.get(f"{widgets}/held").body["metadata"]
    refused = api.post(widgets, widget(widgets, "new"))
    why = "create not allowed while custom resource definition is terminating"
    assert refused.error == (403, "Forbidden", f'widgets.{group} "new" is forbidden: {why}')
    assert api.patch(f"{widgets}/held", {"metadata": {"finalizers": None}}).code == 200
    eventually(lambda: api.get(f"{DEFINITIONS}/widgets.{group}").code, lambda code: code == 404)
    assert eventually(lambda: api.get(widgets), lambda answer: answer.code == 404).text == "404 page not found\n"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
@pytest.mark.parity("kubectl apply, get and explain with a CustomResourceDefinition", "works")
def test_kubectl_applies_a_definition_and_knows_its_kind(kubeconfig, group, namespace, tmp_path):
    def kubectl(*arguments, **document):
        command = ("kubectl", "--kubeconfig", str(kubeconfig), "--namespace", namespace, "--cache-dir", str(tmp_path))
        text = json.dumps(document) if document else None
        return subprocess.run(
            [*command, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )

    name = f"widgets.{group}"
    applied = kubectl("apply", "-f", "-", **definition(group, names={"shortNames": [f"wd-{namespace}"]}))
    assert applied.stdout == f"customresourcedefinition.apiextensions.k8s.io/{name} created\n", applied.stderr
    assert kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s").returncode == 0
    obj = widget(f"/apis/{group}/v1")
    applied = eventually(lambda: kubectl("apply", "-f", "-", **obj), lambda answer: answer.returncode == 0)
    assert applied.stdout == f"widget.{group}/w created\n"
    assert kubectl("get", f"wd-{namespace}", "-o", "name").stdout == f"widget.{group}/w\n"
    explained = eventually(lambda: kubectl("explain", f"{name}.spec.color").stdout, bool)
    assert ("FIELD: color <string>" in explained, "How it looks." in explained) == (True, True), explained
    route = kubectl("explain", "virtualservice.spec.tcp.route").stdout
    assert "destination\t<Object> -required-" in route, route
    assert "weight\t<integer>" in route, route


RULES = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.low <= self.high", "message": "low must not be above high"},
                {
                    "rule": "self.low > 0",
                    "messageExpression": "self.low == 0 ? 'low is zero' : 'low is below zero'",
                    "reason": "FieldValueForbidden",
                },
                {"rule": "self.kept == oldSelf.kept", "message": "kept may not change", "fieldPath": ".kept"},
                {"rule": "!has(self.name) || self.name.startsWith('x')"},
            ],
            "properties": {
                **{"low": {"type": "integer"}, "high": {"type": "integer"}},
                **{
                    "kept": {"type": "string", "default": "k", "maxLength": 9},
                    "name": {"type": "string", "maxLength": 9},
                },
            },
        }
    },
}


@pytest.mark.parity("API: custom resources, rules in CEL", "works")
def test_rules_in_cel(api, group, namespace):
    establish(api, definition(group, RULES))
    path = f"/apis/{group}/v1/namespaces/{namespace}/widgets"

    def said(low, high, **spec):
        body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}}
        return api.post(path, {**body, "spec": {"low": low, "high": high, **spec}})

    assert said(2, 1).error[2].partition(": ")[2] == 'spec: Invalid value: "object": low must not be above high'
    assert said(0, 1).error[2].partition(": ")[2] == "spec: Forbidden: low is zero"
    named = """spec: Invalid value: "object": failed rule: !has(self.name) || self.name.startsWith('x')"""
    assert said(1, 1, name="y").error[2].partition(": ")[2] == named
    assert said(1, 2).code == 201
    changed = api.patch(f"{path}/w", {"spec": {"kept": "other"}})
    assert changed.error[2].partition(": ")[2] == 'spec.kept: Invalid value: "object": kept may not change'
    assert api.patch(f"{path}/w", {"spec": {"high": 5}}).code == 200


PATH = "spec.validation.openAPIV3Schema"


def with_spec(spec, **root):
    return {"type": "object", "properties": {"spec": spec}, **root}


BROKEN = {
    "no type": (
        with_spec({"properties": {}}),
        [f"{PATH}.properties[spec].type: Required value: must not be empty for specified object fields"],
    ),
    "no root type": ({"properties": {}}, [f"{PATH}.type: Required value: must not be empty at the root"]),
    "unknown type": (
        with_spec({"type": "text"}),
        [
            f'{PATH}.properties[spec].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"'
        ],
    ),
    "no items": (with_spec({"type": "array"}), [f"{PATH}.properties[spec].items: Required value: must be specified"]),
    "unknown pattern": (
        with_spec({"type": "string", "pattern": "("}),
        [
            f'{PATH}.properties[spec].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`'
        ],
    ),
    "default of the wrong type": (
        with_spec({"type": "integer", "default": "x"}),
        [f'{PATH}.properties[spec].default: Invalid value: "string":  in body must be of type integer: "string"'],
    ),
    "default with unknown fields": (
        with_spec({"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": 1}}),
        [f'{PATH}.properties[spec].default: Invalid value: {{"b":1}}: must not have unknown fields'],
    ),
    "unique items": (
        with_spec({"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        [
            f"{PATH}.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        ],
    ),
    "map without keys": (
        with_spec({"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}),
        [
            f"{PATH}.properties[spec].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"
        ],
    ),
    "type in an alternative": (
        with_spec({"type": "string", "anyOf": [{"type": "string"}]}),
        [f"{PATH}.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural"],
    ),
    "field in an alternative alone": (
        with_spec({"type": "string"}, oneOf=[{"properties": {"other": {"minLength": 1}}}]),
        [f"{PATH}.properties[other]: Required value: because it is defined in {PATH}.oneOf[0].properties[other]"],
    ),
    "both kinds of properties": (
        with_spec(
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}
        ),
        [
            f"{PATH}.properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
        ],
    ),
    "reference": (
        with_spec({"type": "object", "$ref": "#/x"}),
        [f"{PATH}.properties[spec].$ref: Forbidden: $ref is not supported"],
    ),
    "metadata": (
        {
            "type": "object",
            "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
        },
        [
            f"{PATH}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, "
            "but metadata is implicitly specified"
        ],
    ),
    "nullable root": (
        {"type": "object", "nullable": True},
        [f"{PATH}.nullable: Forbidden: nullable cannot be true at the root"],
    ),
}


@pytest.mark.parity("API: CustomResourceDefinition with a broken schema, refused in the real words", "works")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_schema_is_refused(api, group, name):
    schema, sentences = BROKEN[name]
    refused = api.post(DEFINITIONS, definition(group, schema))
    assert refused.error[:2] == (422, "Invalid"), refused.body
    causes = [f"{cause['field']}: {cause['message']}" for cause in refused.body["details"]["causes"]]
    assert causes == sentences
    assert refused.error[2].startswith(f'CustomResourceDefinition.apiextensions.k8s.io "widgets.{group}" is invalid: ')


def _changed(change):
    def made(group):
        wished = definition(group)
        change(wished["spec"], wished)
        return wished

    return made


SHAPES = {
    "other name": (
        _changed(lambda spec, whole: whole["metadata"].update(name=f"others.{spec['group']}")),
        ['metadata.name: Invalid value: "others.GROUP": must be spec.names.plural+"."+spec.group'],
    ),
    "no kind": (
        _changed(lambda spec, whole: spec["names"].pop("kind")),
        [
            "spec.names.singular: Required value",
            "spec.names.kind: Required value",
            "spec.names.listKind: Required value",
        ],
    ),
    "unknown scope": (
        _changed(lambda spec, whole: spec.update(scope="World")),
        ['spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'],
    ),
    "no schema": (
        _changed(lambda spec, whole: spec["versions"][0].pop("schema")),
        ["spec.versions[0].schema.openAPIV3Schema: Required value"],
    ),
    "no storage version": (
        _changed(lambda spec, whole: spec["versions"][0].update(storage=False)),
        [
            'spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,'
            '"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,'
            '"SelectableFields":null}]: must have exactly one version marked as storage version',
            "status.storedVersions: Invalid value: null: must have at least one stored version",
        ],
    ),
    "unknown column type": (
        _changed(
            lambda spec, whole: spec["versions"][0].update(
                additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": "spec"}]
            )
        ),
        [
            'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
            'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
        ],
    ),
    "scale outside of spec": (
        _changed(
            lambda spec, whole: spec["versions"][0].update(
                subresources={"scale": {"specReplicasPath": ".size", "statusReplicasPath": ".status.ready"}}
            )
        ),
        ['spec.subresources.scale.specReplicasPath: Invalid value: ".size": should be a json path under .spec'],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_definition_that_is_not_valid(api, group, name):
    make, sentences = SHAPES[name]
    refused = api.post(DEFINITIONS, make(group))
    assert refused.error[:2] == (422, "Invalid"), refused.body
    causes = [f"{cause['field']}: {cause['message']}" for cause in refused.body["details"]["causes"]]
    assert causes == [sentence.replace("GROUP", group) for sentence in sentences]


def test_a_definition_keeps_its_scope_and_group(api, group):
    establish(api, definition(group))
    path = f"{DEFINITIONS}/widgets.{group}"
    refused = api.patch(path, {"spec": {"scope": "Cluster"}})
    assert refused.error[2].endswith('is invalid: spec.scope: Invalid value: "Cluster": field is immutable')


def test_a_protected_group_needs_approval(api):
    wished = definition("crd.networking.k8s.io")
    refused = api.post(DEFINITIONS, wished)
    assert refused.error[2].partition(" is invalid: ")[2] == (
        "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "
        '"api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111'
    )
