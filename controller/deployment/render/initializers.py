"""Models: the init container that downloads one, or the claim that holds it, and the mount in the server."""

from typing import Any

from controller.deployment.configuration import Configuration
from controller.deployment.credentials import GCS_FOLDER, GCS_VOLUME, account_of, needs_credentials
from controller.deployment.names import initializer, model_volume
from controller.deployment.render.environment import merged

MODELS = "/mnt/models"
PVC_SOURCE = "kfserving-pvc-source"
PVC_FOLDER = "/mnt/pvc"
_PVC = "pvc://"


def add_model(
    pod: dict[str, Any],
    container: str,
    uri: str,
    *,
    configuration: Configuration,
    env_secret: str = "",
    image: str = "",
    account: str = "",
) -> dict[str, Any]:
    """Return the pod spec with the model of one container: volume, init container and mount."""
    volume = model_volume(container)
    mounts: list[dict[str, Any]] = [{"name": volume, "mountPath": MODELS}]
    volumes: list[dict[str, Any]] = [{"name": volume, "emptyDir": {}}]
    served: list[dict[str, Any]] = [{"name": volume, "mountPath": MODELS, "readOnly": True}]
    source = uri
    if uri.startswith(_PVC):
        claim, _, path = uri.removeprefix(_PVC).partition("/")
        volumes.append({"name": PVC_SOURCE, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
        shared: list[dict[str, Any]] = [{"name": PVC_SOURCE, "mountPath": PVC_FOLDER, "readOnly": True}]
        mounts, served = [*mounts, *shared], [*served, *shared]
        source = f"{PVC_FOLDER}/{path}"
    init: dict[str, Any] = {
        "name": initializer(container),
        "image": image or configuration.initializer_image,
        "imagePullPolicy": "IfNotPresent",
        "args": [source, MODELS],
        "resources": dict(configuration.initializer_resources),
        "volumeMounts": mounts,
    }
    grant = configuration.grants.get(account_of(account)) if needs_credentials(uri) else None
    if grant is not None and grant.env:
        init["env"] = [dict(each) for each in grant.env]
    if grant is not None and grant.secret:
        volumes.append({"name": GCS_VOLUME, "secret": {"secretName": grant.secret}})
        init["volumeMounts"] = [*mounts, {"name": GCS_VOLUME, "mountPath": GCS_FOLDER, "readOnly": True}]
    secret = env_secret or configuration.initializer_env_secret
    if secret:
        init["envFrom"] = [{"secretRef": {"name": secret}}]
    containers = [
        {**each, "volumeMounts": merged(each.get("volumeMounts") or (), served, key="mountPath")}
        if each["name"] == container
        else each
        for each in pod["containers"]
    ]
    return {
        **pod,
        "containers": containers,
        "initContainers": merged(pod.get("initContainers") or (), [init]),
        "volumes": merged(pod.get("volumes") or (), volumes),
    }
