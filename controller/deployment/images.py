"""Images that an administrator names outright: they win over the config map, as `RELATED_IMAGE_*` do upstream. Pure.

Each replaces one image alone. Upstream's replace a server whole, so that SKLEARN_SERVER has no v2 protocol any more,
and give explainers of the v2 protocol an image that does not speak it.
"""

from collections.abc import Mapping
from dataclasses import replace

from controller.deployment.configuration import Configuration, ServerImage

SERVERS = {
    "sklearn_server_image": ("SKLEARN_SERVER", "seldon"),
    "xgboost_server_image": ("XGBOOST_SERVER", "seldon"),
    "mlflow_server_image": ("MLFLOW_SERVER", "seldon"),
    "tensorflow_image": ("TENSORFLOW_SERVER", "tensorflow"),
    "tensorflow_proxy_image": ("TENSORFLOW_SERVER", "seldon"),
}
"""The implementation and protocol of the server that each of these settings names."""
OTHERS = ("initializer_image", "explainer_image")
"""The settings that name no server."""


def with_images(configuration: Configuration, named: Mapping[str, str]) -> Configuration:
    """Return the configuration with the images that are named, by setting; an empty one says nothing."""
    servers = {name: dict(protocols) for name, protocols in configuration.servers.items()}
    for setting, (implementation, protocol) in SERVERS.items():
        if image := named.get(setting):
            servers.setdefault(implementation, {})[protocol] = ServerImage(image)
    return replace(
        configuration,
        servers=servers,
        initializer_image=named.get("initializer_image") or configuration.initializer_image,
        explainer_image=named.get("explainer_image") or configuration.explainer_image,
    )
