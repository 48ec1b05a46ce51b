"""A container's variables."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, SECRETS, Client
from tcpshift_helpers.sandbox.node.environment import ConfigError, expand, field_value, of_container

POD = {
    "metadata": {"name": "p", "namespace": "default", "labels": {"app": "a"}, "annotations": {"x/y": "z"}},
    "spec": {"nodeName": "sandbox"},
    "status": {"podIP": "127.1.1.10", "podIPs": [{"ip": "127.1.1.10"}, {"ip": "127.1.1.11"}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['app']", "a"),
        ("metadata.annotations['x/y']", "z"),
        ("metadata.labels['absent']", ""),
        ("status.podIP", "127.1.1.10"),
        ("status.podIPs", "127.1.1.10,127.1.1.11"),
        ("spec.serviceAccountName", ""),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    assert field_value(POD, path) == expected


async def test_config_maps_and_secrets(api: Client) -> None:
    metadata = {"name": "m", "namespace": "default"}
    await api.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "v"}})
    secret = {"password": base64.b64encode(b"hush").decode()}
    await api.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": secret})
    container: dict[str, Any] = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "m"}}],
        "env": [
            {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"name": "OPTIONAL", "valueFrom": {"secretKeyRef": {"name": "m", "key": "x", "optional": True}}},
            {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
            {"name": "ALL", "value": "$(K) $(password)"},
            {"name": "EMPTY"},
            {"name": "THERE", "value": "$(S_SERVICE_HOST):$(S_SERVICE_PORT)"},
            {"name": "S_PORT", "value": "mine"},
        ],
    }
    links = {"S_SERVICE_HOST": "127.1.1.200", "S_SERVICE_PORT": "9000", "S_PORT": "tcp://127.1.1.200:9000"}
    assert await of_container(api, POD, container, links) == {
        **links,
        "P_k": "v",
        "password": "hush",
        "K": "v",
        "ALL": "v hush",
        "EMPTY": "",
        "THERE": "127.1.1.200:9000",
        "S_PORT": "mine",
    }


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "nope", "key": "k"}}, 'configmap "nope" not found'),
        ({"secretKeyRef": {"name": "nope", "key": "k"}}, 'secret "nope" not found'),
        ({"configMapKeyRef": {"name": "m", "key": "nope"}}, "couldn't find key nope in ConfigMap default/m"),
    ],
)
async def test_what_is_missing_is_named(api: Client, source: dict[str, Any], words: str) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"}}
    await api.create(CONFIG_MAPS, config_map)
    with pytest.raises(ConfigError) as missing:
        await of_container(api, POD, {"env": [{"name": "A", "valueFrom": source}]}, {})
    assert str(missing.value) == words
