"""Accept headers, and the forms of objects and lists."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.representation import Representation, negotiate
from tcpshift_helpers.sandbox.apiserver.status import StatusError

KINDS = {resource.plural: resource for resource in Catalog(map(resource_type, definitions()))}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def obj(name="a", api_version="v1", kind="ConfigMap"):
    metadata = {"name": name, "namespace": "n", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata}


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json", ""),
        ("application/json;stream=watch", ""),
        ("application/json; charset=utf-8", ""),
        (f"{TABLE}, application/json", "Table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", ""),
        ("application/vnd.kubernetes.protobuf,application/json", ""),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "PartialObjectMetadata"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", ""),
    ],
)
def test_negotiation(header, form):
    assert negotiate(header) == form


@pytest.mark.parametrize(
    "header", ["text/html", "application/vnd.kubernetes.protobuf", "application/json;as=Foo;v=v1;g=x"]
)
def test_nothing_acceptable(header):
    with pytest.raises(StatusError, match="406: Not Acceptable"):
        negotiate(header)


def test_version_asked_for_is_the_version_shown():
    shown = Representation(KINDS["virtualservices"], "v1beta1")
    stored = obj(kind="VirtualService", api_version="networking.istio.io/v1")
    assert shown.object(stored)["apiVersion"] == "networking.istio.io/v1beta1"
    assert stored["apiVersion"] == "networking.istio.io/v1"
    assert not shown.is_stored_form()
    assert Representation(KINDS["virtualservices"], "v1").is_stored_form()


def test_only_the_first_table_of_a_watch_names_its_columns():
    representation = Representation(KINDS["configmaps"], "v1", "Table")
    assert representation.event_object(obj())["columnDefinitions"]
    assert representation.event_object(obj())["columnDefinitions"] is None


@pytest.mark.parametrize("form", ["", "Table", "PartialObjectMetadata"])
def test_bookmark_carries_a_version(form):
    shown = Representation(KINDS["configmaps"], "v1", form).bookmark(9, initial_events_end=True)
    metadata = shown["rows"][0]["object"]["metadata"] if form == "Table" else shown["metadata"]
    assert metadata == {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
