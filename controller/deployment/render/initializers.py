"""Models: the init container that downloads one, or the claim that holds it, and the mount in the server."""

from collections.abc import Mapping
from typing import Any

from controller.api.deployment import Explainer, PredictiveUnit
from controller.deployment.configuration import Configuration
from controller.deployment.credentials import GCS_FOLDER, GCS_VOLUME, Grant, account_of, needs_credentials
from controller.deployment.names import initializer, model_volume
from controller.deployment.render.environment import Entries, merged

MODELS = "/mnt/models"
PVC_SOURCE = "kfserving-pvc-source"
PVC_FOLDER = "/mnt/pvc"
_PVC = "pvc://"


def add_model(
    pod: Mapping[str, Any], container: str, holder: PredictiveUnit | Explainer, configuration: Configuration
) -> dict[str, Any]:
    """Return the pod spec with the model of one container: volumes, init container and mount.

    Args:
        pod: the pod spec.
        container: which of its containers serves the model.
        holder: says where the model is and how it is had.
        configuration: says what downloads models, and what service accounts give.
    """
    source, claims, shared = _source(holder.model_uri)
    place = {"name": model_volume(container), "mountPath": MODELS}
    grant = _grant(holder, configuration)
    keys = [{"name": GCS_VOLUME, "secret": {"secretName": grant.secret}}] if grant.secret else []
    folders = [{"name": GCS_VOLUME, "mountPath": GCS_FOLDER, "readOnly": True}] if grant.secret else []
    init: dict[str, Any] = {
        "name": initializer(container),
        "image": holder.storage_initializer_image or configuration.initializer_image,
        "imagePullPolicy": "IfNotPresent",
        "args": [source, MODELS],
        "resources": dict(configuration.initializer_resources),
        "volumeMounts": [place, *shared, *folders],
    }
    if grant.env:
        init["env"] = [dict(each) for each in grant.env]
    if secret := holder.env_secret_ref_name or configuration.initializer_env_secret:
        init["envFrom"] = [{"secretRef": {"name": secret}}]
    volumes = [{"name": place["name"], "emptyDir": {}}, *claims, *keys]
    return {
        **pod,
        "containers": [
            _mounted(each, [{**place, "readOnly": True}, *shared]) if each["name"] == container else each
            for each in pod["containers"]
        ],
        "initContainers": merged(pod.get("initContainers") or (), [init]),
        "volumes": merged(pod.get("volumes") or (), volumes),
    }


def _source(uri: str) -> tuple[str, Entries, Entries]:
    """Return what is downloaded, and for a model in a claim its volume and mount, which the server has, too."""
    if not uri.startswith(_PVC):
        return uri, [], []
    claim, _, path = uri.removeprefix(_PVC).partition("/")
    volume = {"name": PVC_SOURCE, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    return f"{PVC_FOLDER}/{path}", [volume], [{"name": PVC_SOURCE, "mountPath": PVC_FOLDER, "readOnly": True}]


def _grant(holder: PredictiveUnit | Explainer, configuration: Configuration) -> Grant:
    """Return what the holder's service account gives for the download, where credentials matter."""
    found = configuration.grants.get(account_of(holder.service_account_name))
    return found if found is not None and needs_credentials(holder.model_uri) else Grant()


def _mounted(container: Mapping[str, Any], mounts: Entries) -> dict[str, Any]:
    return {**container, "volumeMounts": merged(container.get("volumeMounts") or (), mounts, key="mountPath")}
