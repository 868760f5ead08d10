"""Whether a namespace is another operator's: Seldon Core's way to run one for the cluster and some for namespaces."""

import logging
from datetime import datetime, timedelta

from controller.api.meta import CONTROLLER_ID_LABEL
from controller.kube.client import Client
from controller.kube.errors import ForbiddenError, NotFoundError
from controller.kube.resources import NAMESPACE

log = logging.getLogger("seldon_rollouts.deployment")

FRESH_FOR = timedelta(seconds=60)


class Tenancy:
    """Reads the label `seldon.io/controller-id` of namespaces, and remembers it for a minute.

    Args:
        client: asks the API server.
        whole_cluster: we look after all namespaces; with a list of our own, those are ours.
    """

    def __init__(self, client: Client, *, whole_cluster: bool) -> None:
        self._client = client
        self._whole_cluster = whole_cluster
        self._known: dict[str, tuple[datetime, bool]] = {}

    async def is_theirs(self, namespace: str, now: datetime) -> bool:
        """Return whether an operator of its own looks after a namespace."""
        if not self._whole_cluster:
            return False
        known = self._known.get(namespace)
        if known is None or now - known[0] >= FRESH_FOR:
            known = self._known[namespace] = now, await self._labelled(namespace)
        return known[1]

    async def _labelled(self, namespace: str) -> bool:
        try:
            found = await self._client.get(NAMESPACE, None, namespace)
        except NotFoundError:
            return False
        except ForbiddenError as error:
            log.warning("the labels of a namespace cannot be read namespace=%s error=%s", namespace, error)
            return False
        return bool((found["metadata"].get("labels") or {}).get(CONTROLLER_ID_LABEL))
