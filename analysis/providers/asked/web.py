"""A web service for one value: the JSON of its answer, or what a path finds in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.providers.asked.answer import Answer, AskError
from analysis.providers.asked.http import Credentials, Http, Request, parsed, shown
from analysis.providers.asked.path import found


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is asked. `timeout` in seconds; `path` such as `{$.data.ok}`."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = None
    path: str = ""
    timeout: float = 10.0
    insecure: bool = False
    basic: tuple[str, str] | None = field(default=None, repr=False)
    oauth2: Credentials | None = None


async def ask(http: Http, service: Service) -> Answer:
    """Ask once; the first value that the path finds is the answer, and nothing where it finds none.

    Raises:
        AskError: no answer of 2xx, or none that can be used.
    """
    where = shown(service.url)
    response = await http.send(
        Request(
            url=service.url,
            method=service.method,
            headers=service.headers,
            content=service.content,
            timeout=service.timeout,
            insecure=service.insecure,
            basic=service.basic,
            oauth2=service.oauth2,
        )
    )
    if not 200 <= response.status < 300:
        said = response.body[:200].decode(errors="replace")
        raise AskError(f"{where} answered HTTP {response.status}, expected 2xx" + (f": {said}" if said else ""))
    if not service.path:
        return Answer(_whole(response.body))
    return Answer(found(parsed(response.body, where), service.path))


def _whole(body: bytes) -> Any:
    """Return the answer as JSON; one that is none is a text."""
    try:
        return parsed(body, "")
    except AskError:
        return body.decode(errors="replace")
