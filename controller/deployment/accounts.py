"""Reads the Secrets of service accounts that downloads of models may need, one by one and now and then."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.deployment.configuration import Configuration
from controller.deployment.credentials import Grant, accounts, granted
from controller.kube.client import Client
from controller.kube.errors import ForbiddenError, NotFoundError
from controller.kube.resources import SECRET, SERVICE_ACCOUNT

log = logging.getLogger("seldon_rollouts.deployment")

FRESH_FOR = timedelta(seconds=60)
KEPT = 4096
"""Service accounts that are remembered; when there are more, all are read anew."""
Key = tuple[str, str]


class Accounts:
    """Remembers for a minute what service accounts give; those that are not there give nothing."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[Key, tuple[datetime, Grant]] = {}
        self._locks: dict[Key, asyncio.Lock] = {}

    async def configuration(self, raw: Mapping[str, Any], configuration: Configuration, now: datetime) -> Configuration:
        """Return the configuration with what the service accounts of a SeldonDeployment give."""
        namespace, names = raw["metadata"]["namespace"], sorted(accounts(raw.get("spec")))
        found = {name: await self._grant(namespace, name, configuration, now) for name in names}
        given = {name: grant for name, grant in found.items() if grant.env}
        return replace(configuration, grants=given) if given else configuration

    async def _grant(self, namespace: str, name: str, configuration: Configuration, now: datetime) -> Grant:
        key = (namespace, name)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._known.get(key)
            if known is None or now - known[0] >= FRESH_FOR:
                if len(self._known) >= KEPT:
                    self._known.clear()
                known = self._known[key] = now, await self._read(namespace, name, configuration)
            return known[1]

    async def _read(self, namespace: str, name: str, configuration: Configuration) -> Grant:
        try:
            account = await self._client.get(SERVICE_ACCOUNT, namespace, name)
        except (NotFoundError, ForbiddenError):
            return Grant()
        secrets = []
        for reference in account.get("secrets") or ():
            try:
                secrets.append(await self._client.get(SECRET, namespace, reference["name"]))
            except (NotFoundError, ForbiddenError) as error:
                log.warning("a service account's Secret cannot be read account=%s/%s error=%s", namespace, name, error)
        return granted(secrets, configuration.credential_keys)
