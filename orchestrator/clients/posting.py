"""Events that are posted: CloudEvents in HTTP's binary mode."""

import asyncio
import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

from orchestrator.clients.events import Event, Origin
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.pool import Pool
from orchestrator.errors import NodeError, SettingsError

_LONGEST_REPLY = 1024 * 1024


class Posts:
    """Where nodes' events are posted, each place with connections of its own.

    Args:
        origin: what all events have in common.
        endpoint: where events go whose node does not say.
        hosts: finds addresses.
        at_a_time: posts at a time.
        within: seconds for one post.
    """

    def __init__(self, origin: Origin, *, endpoint: str, hosts: Hosts, at_a_time: int, within: float) -> None:
        self.at_a_time = at_a_time
        self._common = _lines(origin.attributes())
        self._endpoint = endpoint
        self._hosts = hosts
        self._within = within
        self._sinks: dict[str, _Post] = {}

    def of(self, url: str, node: str) -> "_Post":
        """Who is posted to."""
        url = url or self._endpoint
        found = self._sinks.get(url)
        if found is None:
            found = self._sinks[url] = self._opened(url, node)
        return found

    def start(self) -> None:
        """Nothing: connections are made for the first posts."""

    async def close(self) -> None:
        """Leave all connections."""
        for sink in self._sinks.values():
            sink.pool.close()

    def _opened(self, url: str, node: str) -> "_Post":
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            parts, port = urlsplit(""), 0
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise SettingsError(
                f"logger of node {node!r}: {url!r} is not valid; expected a URL such as http://host/path, there or in "
                "REQUEST_LOGGER_DEFAULT_ENDPOINT"
            )
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        start = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n".encode()
        address = (parts.hostname, port)
        pool = Pool("payload log", address, self._hosts, size=self.at_a_time, limit=_LONGEST_REPLY, tls=tls)
        return _Post(start + self._common, pool, self._within)


class _Post:
    def __init__(self, start: bytes, pool: Pool, within: float) -> None:
        self._start = start
        self.pool = pool
        self._within = within

    async def take(self, event: Event) -> None:
        """Post it. Raises NodeError or TimeoutError."""
        head = b"%b%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
            self._start,
            _lines(event.attributes()),
            event.content_type,
            len(event.body),
        )
        async with asyncio.timeout(self._within):
            reply = await self.pool.request(head, event.body, within=self._within, again=True)
        if not 200 <= reply.status < 300:
            raise NodeError(f"status {reply.status}")


def _lines(attributes: Iterable[tuple[str, str]]) -> bytes:
    return "".join([f"ce-{name}: {value}\r\n" for name, value in attributes]).encode()
