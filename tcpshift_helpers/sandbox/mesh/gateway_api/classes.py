"""Which GatewayClasses are Istio's. Pure.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gatewaycommon (classinfo.go, gatewayclass.go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Obj = Mapping[str, Any]

GROUP = "gateway.networking.k8s.io"
API_VERSION = f"{GROUP}/v1"
CONTROLLER = "istio.io/gateway-controller"
REMOTE_CONTROLLER = "istio.io/unmanaged-gateway"
# By the name of the class that istiod makes for it, and has even while there is none.
_CONTROLLERS = {"istio": CONTROLLER, "istio-remote": REMOTE_CONTROLLER}
_DESCRIPTIONS = {
    "istio": "The default Istio GatewayClass",
    "istio-remote": "Remote to this cluster. Does not deploy or affect configuration.",
}


def built_in() -> list[dict[str, Any]]:
    """The GatewayClasses that istiod makes."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "GatewayClass",
            "metadata": {"name": name},
            "spec": {"controllerName": controller, "description": _DESCRIPTIONS[name]},
        }
        for name, controller in _CONTROLLERS.items()
    ]


def is_ours(gateway_class: Obj) -> bool:
    """Whether istiod is the controller of this class."""
    return gateway_class["spec"].get("controllerName") in _CONTROLLERS.values()


def controllers(gateway_classes: Iterable[Obj]) -> dict[str, str]:
    """Istio's controllers by the names of the classes that have them."""
    found = {one["metadata"]["name"]: str(one["spec"]["controllerName"]) for one in gateway_classes if is_ours(one)}
    return _CONTROLLERS | found
