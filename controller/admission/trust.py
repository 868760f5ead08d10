"""What the API server trusts: the bundle in the webhook configurations."""

import base64
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from controller.kube.client import Client
from controller.kube.errors import NotFoundError
from controller.kube.resources import MUTATING_WEBHOOK, VALIDATING_WEBHOOK

log = logging.getLogger("seldon_rollouts.admission")

NAME = "seldon-rollouts"
"""The name of both webhook configurations."""
KINDS = {each.kind: each for each in (MUTATING_WEBHOOK, VALIDATING_WEBHOOK)}
Object = dict[str, Any]


async def configurations(client: Client) -> list[Object]:
    """Return the webhook configurations that there are; a person may do without one of them."""
    found = []
    with contextlib.suppress(NotFoundError):
        found.append(await client.get(MUTATING_WEBHOOK, None, NAME))
    with contextlib.suppress(NotFoundError):
        found.append(await client.get(VALIDATING_WEBHOOK, None, NAME))
    return found


async def publish(client: Client, configuration: Object, bundle: bytes) -> None:
    """Have the API server trust a bundle, as far as one configuration goes; nothing is written when it does.

    Raises:
        ConflictError: somebody else wrote first.
    """
    if holds(configuration, bundle):
        return
    text, kind = base64.b64encode(bundle).decode(), configuration["kind"]
    hooks = [{**each, "clientConfig": {**each["clientConfig"], "caBundle": text}} for each in configuration["webhooks"]]
    version = configuration["metadata"]["resourceVersion"]
    log.info("the API server is told what to trust kind=%s", kind)
    await client.merge_patch(KINDS[kind], None, NAME, {"webhooks": hooks}, resource_version=version)


def holds(configuration: Mapping[str, Any], bundle: bytes) -> bool:
    """Return whether all webhooks of a configuration trust this bundle."""
    text = base64.b64encode(bundle).decode()
    return all((each.get("clientConfig") or {}).get("caBundle") == text for each in configuration.get("webhooks") or ())
