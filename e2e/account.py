"""The controller's own account on a real API server: what the base grants, and a token for it."""

from pathlib import Path
from typing import Any

import kubernetes
import yaml

NAMESPACE, NAME = "seldon-system", "seldon-rollouts-controller"
RIGHTS = ("service-account.yaml", "rbac.yaml")


def prepare(admin: Path, manifests: Path, target: Path) -> None:
    """Create account and rights of the base, ask the server for a token, and write a kubeconfig with it."""
    with kubernetes.config.new_client_from_config(str(admin)) as client:
        for file in RIGHTS:
            kubernetes.utils.create_from_yaml(client, str(manifests / "base" / file))
        asked = {"spec": {"expirationSeconds": 7200, "audiences": []}}
        core = kubernetes.client.CoreV1Api(client)
        token = core.create_namespaced_service_account_token(NAME, NAMESPACE, asked).status.token
    config: dict[str, Any] = yaml.safe_load(admin.read_text("utf-8"))
    config["users"][0]["user"] = {"token": token}
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config), "utf-8")
