"""Images that an administrator names outright: they win over the config map, as `RELATED_IMAGE_*` do upstream. Pure.

Each replaces one image alone. Upstream's replace a server whole, so that SKLEARN_SERVER has no v2 protocol any more,
and give explainers of the v2 protocol an image that does not speak it.
"""

from dataclasses import dataclass, replace

from controller.deployment.configuration import Configuration, ServerImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """References of images; an empty one says nothing."""

    initializer: str = ""
    explainer: str = ""
    sklearn: str = ""
    xgboost: str = ""
    mlflow: str = ""
    tensorflow: str = ""
    tensorflow_proxy: str = ""

    def servers(self) -> dict[tuple[str, str], str]:
        """Return the images that are named of prepackaged servers, by implementation and protocol."""
        every = {
            ("SKLEARN_SERVER", "seldon"): self.sklearn,
            ("XGBOOST_SERVER", "seldon"): self.xgboost,
            ("MLFLOW_SERVER", "seldon"): self.mlflow,
            ("TENSORFLOW_SERVER", "tensorflow"): self.tensorflow,
            ("TENSORFLOW_SERVER", "seldon"): self.tensorflow_proxy,
        }
        return {key: image for key, image in every.items() if image}


def with_images(configuration: Configuration, images: Images) -> Configuration:
    """Return the configuration with the images that are named."""
    servers = {name: dict(protocols) for name, protocols in configuration.servers.items()}
    for (implementation, protocol), image in images.servers().items():
        servers.setdefault(implementation, {})[protocol] = ServerImage(image)
    return replace(
        configuration,
        servers=servers,
        initializer_image=images.initializer or configuration.initializer_image,
        explainer_image=images.explainer or configuration.explainer_image,
    )
