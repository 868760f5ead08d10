"""One request with bounds: a deadline for the whole of it, a size for the answer, and no redirect."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from analysis.providers.access import OPEN, Access
from analysis.providers.asked.answer import AskError

LARGEST = 1_000_000
"""Bytes of an answer."""
DEEPEST = 100
"""Levels of an answer."""
_EARLY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """OAuth2 client credentials."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. Times in seconds."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    form: Mapping[str, str] | None = None
    timeout: float = 10.0
    insecure: bool = False
    basic: tuple[str, str] | None = field(default=None, repr=False)
    oauth2: Credentials | None = None
    door: Access = OPEN
    """Whose authority and certificate speak; its headers are among `headers` already."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes


def shown(url: str) -> str:
    """Return an address without login, query and fragment, for messages."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the address"
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"


class _Line:
    """Connections that were made with one edition of the certificates, in place of those of the edition before.

    Whoever uses the old ones may finish; then they are closed.
    """

    def __init__(self, client: httpx.AsyncClient, edition: object, before: "_Line | None") -> None:
        self.client = client
        self.edition = edition
        self._before = before
        self._users = 0
        self._retired = False

    async def __aenter__(self) -> httpx.AsyncClient:
        self._users += 1
        before, self._before = self._before, None
        if before is not None:
            await before.retire()
        return self.client

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if self._retired and not self._users:
            await self.client.aclose()

    async def retire(self) -> None:
        self._retired = True
        if not self._users:
            await self.client.aclose()


class Http:
    """Sends requests over connections that are kept, and remembers bearer tokens until they end.

    `now` gives the present instant, for the end of tokens.
    """

    def __init__(self, now: Any, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._now = now
        self._transport = transport
        self._lines: dict[tuple[bool, Access], _Line] = {}
        self._tokens: dict[Credentials, tuple[str, datetime]] = {}

    async def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            await line.client.aclose()
        self._lines.clear()

    async def send(self, request: Request) -> Response:
        """Send a request and read its answer, whatever the status.

        Raises:
            AskError: no whole answer within the time and the size.
        """
        where = shown(request.url)
        try:
            async with asyncio.timeout(request.timeout):
                return await self._send(request, where)
        except TimeoutError:
            raise AskError(f"{where} did not answer within {request.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError, OSError) as error:
            raise AskError(f"{where} did not answer: {type(error).__name__}: {str(error)[:300]}") from None

    async def _send(self, request: Request, where: str) -> Response:
        headers = dict(request.headers)
        if request.oauth2 is not None:
            headers["Authorization"] = f"Bearer {await self._token(request.oauth2, request)}"
        async with (
            self._line(request.insecure, request.door) as client,
            client.stream(
                request.method,
                request.url,
                headers=headers,
                params=dict(request.parameters) or None,
                content=request.content,
                data=dict(request.form) if request.form is not None else None,
                auth=request.basic,
                timeout=request.timeout,
            ) as answer,
        ):
            if answer.has_redirect_location:
                target = shown(answer.headers["location"])
                raise AskError(f"{where} redirects to {target}, which is not followed: give that address itself")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise AskError(f"{where} answered with more than {LARGEST} bytes")
            return Response(answer.status_code, bytes(body))

    def _line(self, insecure: bool, door: Access) -> _Line:
        """Return connections with the certificates as they are now: rotated ones make new connections."""
        known, edition = self._lines.get((insecure, door)), door.edition()
        if known is not None and known.edition == edition:
            return known
        client = httpx.AsyncClient(
            verify=_tls(insecure, door),
            trust_env=False,
            follow_redirects=False,
            transport=self._transport,
            limits=httpx.Limits(max_connections=128, max_keepalive_connections=32),
        )
        self._lines[insecure, door] = line = _Line(client, edition, known)
        return line

    async def _token(self, given: Credentials, request: Request) -> str:
        """Return a bearer token by the client-credentials grant (RFC 6749, section 4.4)."""
        kept = self._tokens.get(given)
        if kept is not None and self._now() < kept[1]:
            return kept[0]
        form = {"grant_type": "client_credentials"} | ({"scope": " ".join(given.scopes)} if given.scopes else {})
        asked = Request(
            url=given.token_url,
            method="POST",
            form=form,
            basic=(given.client_id, given.client_secret),
            timeout=request.timeout,
            insecure=request.insecure,
        )
        where = shown(given.token_url)
        answer = await self._send(asked, where)
        found = parsed(answer.body, where) if answer.status == 200 else None
        if not isinstance(found, dict) or not isinstance(found.get("access_token"), str):
            raise AskError(f"{where} gave no access_token: HTTP {answer.status}")
        lives = found.get("expires_in")
        seconds = float(lives) if isinstance(lives, int | float) and not isinstance(lives, bool) else 0.0
        self._tokens = {one: token for one, token in self._tokens.items() if self._now() < token[1]}
        self._tokens[given] = found["access_token"], self._now() + timedelta(seconds=min(seconds, 86400.0)) - _EARLY
        return str(found["access_token"])


def _tls(insecure: bool, door: Access) -> ssl.SSLContext | bool:
    if door.authority is None and door.certificate is None:
        return not insecure
    context = ssl.create_default_context(cafile=door.authority)
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if door.certificate is not None:
        context.load_cert_chain(*door.certificate)
    return context


def parsed(body: bytes, where: str) -> Any:
    """Read JSON.

    Raises:
        AskError: it is none, is nested too deep, or has a text that is no Unicode.
    """
    try:
        found = json.loads(body)
        if b"\\u" in body:
            json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair can be written nowhere
    except (ValueError, RecursionError):
        raise AskError(f"{where} did not answer with JSON: {body[:80].decode(errors='replace')!r}") from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and _deep(found):
        raise AskError(f"{where} answered with JSON of more than {DEEPEST} levels")
    return found


def _deep(found: Any) -> bool:
    level = [found] if isinstance(found, dict | list) else []
    for _ in range(DEEPEST):
        inside = [one.values() if isinstance(one, dict) else one for one in level]
        level = [child for one in inside for child in one if isinstance(child, dict | list)]
        if not level:
            return False
    return True
