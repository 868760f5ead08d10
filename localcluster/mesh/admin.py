"""What Envoy says of itself on its admin page: is it ready, which versions has it accepted, what has it refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import aiohttp
import orjson


@dataclass(frozen=True, slots=True)
class Subscription:
    """State of one watched file: the version in effect, and how many updates were refused so far."""

    version: str = ""
    rejected: int = 0


class Admin:
    """A client of Envoy's admin page. Every call raises AdminError when Envoy does not answer."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ready(self) -> bool:
        """Whether Envoy serves: its first configuration is complete."""
        try:
            return (await self._get("/ready")).startswith(b"LIVE")
        except AdminError:
            return False

    async def subscriptions(self, prefixes: list[str]) -> Mapping[str, Subscription]:
        """The state of subscriptions by the prefix of their statistics (`listener_manager.lds`)."""
        wanted = "|".join(re.escape(prefix) for prefix in prefixes)
        body = await self._get("/stats", {"format": "json", "filter": rf"^({wanted})\.(version_text|update_rejected)$"})
        found: dict[str, dict[str, str]] = {prefix: {} for prefix in prefixes}
        for stat in orjson.loads(body)["stats"]:
            name = stat.get("name", "")
            prefix, _, field = name.rpartition(".")
            if prefix in found:
                found[prefix][field] = str(stat["value"])
        return {
            prefix: Subscription(values.get("version_text", ""), int(values.get("update_rejected", "0")))
            for prefix, values in found.items()
        }

    async def listeners(self) -> frozenset[str]:
        """The names of the listeners that Envoy took and could bind."""
        found = orjson.loads(await self._get("/listeners", {"format": "json"}))
        return frozenset(status["name"] for status in found.get("listener_statuses") or ())

    async def warming(self) -> int:
        """How many clusters wait for their endpoints."""
        body = await self._get("/stats", {"format": "json", "filter": r"^cluster_manager\.warming_clusters$"})
        return sum(int(stat["value"]) for stat in orjson.loads(body)["stats"] if "name" in stat)

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self._session.get(self._base + path, params=params) as answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AdminError(f"Envoy's admin page {self._base}{path} does not answer: {error!r}") from error


class AdminError(Exception):
    """Envoy's admin page does not answer: Envoy is not there, or not yet."""
