"""Prometheus and what speaks its API (Thanos, VictoriaMetrics): queries at explicit instants, in a thread.

prometheus-api-client holds the connection and asks; what is answered is read here: it passes over warnings, and an
answer that lacks a part must never be taken for counters at rest.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import nan
from threading import Lock
from typing import Any, Self
from urllib.parse import quote_plus, urljoin, urlsplit, urlunsplit

import msgspec
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import HTTPAdapter
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.util import Retry

from analysis.providers.access import Access, AccessError
from analysis.providers.provider import Instant, ProviderError, Series

_WHOLE_ANSWERS = {"partial_response": "false", "deny_partial_response": "1", "nocache": "1"}
"""Thanos and VictoriaMetrics answer with what they have unless told that a part is not an answer. Prometheus
ignores these.
"""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_NOT_POSTED = {301, 302, 303, 307, 308, 403, 405, 501}
_FRESH = {"latency_offset": "0s"}
"""VictoriaMetrics hides the newest 30 s of instant queries by default."""


class _Sample(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A text that is a number becomes one while it is read. The collector of garbage need not look at so many."""

    at: float
    value: float


class _Row(msgspec.Struct, gc=False):
    """A series of an answer; its labels stay as they are written."""

    metric: msgspec.Raw
    value: _Sample = _Sample(0.0, nan)
    values: list[_Sample] = []


class _Data(msgspec.Struct):
    result: list[_Row]


class _Answer(msgspec.Struct):
    data: _Data
    warnings: list[str] | None = None
    partial: bool | None = msgspec.field(default=None, name="isPartial")


_AT_ONCE = 1 << 26
"""Bytes of an answer that are read at a time."""
_QUERIES = 512
"""Queries whose series are remembered: of more than ten thousand rollouts."""
_DECODER = msgspec.json.Decoder(_Answer, strict=False)


class PrometheusProvider:
    """Reads series over the HTTP API at `url`.

    `token` is a bearer token or a function that gives the current one, `basic` a user name and password, `headers`
    are sent along (such as `X-Scope-OrgID`), or a function that gives the current ones; `verify` is False or the path
    of a CA bundle, `client_cert` the paths of certificate and key, `timeout` in seconds for each try.
    """

    @classmethod
    def behind(cls, url: str, door: Access, *, timeout: float = 10.0, attempts: int = 3) -> Self:
        """Return the Prometheus at `url`, with what it asks for at its door.

        Raises:
            ValueError: the address is none.
        """
        return cls(
            url,
            headers=door.headers,
            verify=str(door.authority) if door.authority is not None else True,
            client_cert=(str(door.certificate[0]), str(door.certificate[1])) if door.certificate is not None else None,
            timeout=timeout,
            attempts=attempts,
        )

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        token: str | Callable[[], str] | None = None,
        basic: tuple[str, str] | None = None,
        verify: bool | str = True,
        client_cert: tuple[str, str] | None = None,
        timeout: float = 10.0,
        attempts: int = 3,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"the Prometheus URL must look like http://host:9090, got {_redacted(url)}")
        if token is not None and basic is not None:
            raise ValueError("give a bearer token or a basic login for Prometheus, not both")
        self._shown = _redacted(url)
        self._token = token
        self._headers = headers if callable(headers) else lambda: headers or {}
        self._attempts = attempts
        self._remembered = _Remembered()
        session = _Session()
        session.verify = verify
        session.cert = client_cert
        session.trust_env = False
        session.stream = True  # an answer is read in one go, where requests takes ten kilobytes at a time
        session.headers["Accept-Encoding"] = "identity"  # to unpack an answer costs more than to judge by it
        # Tries are counted here, by tenacity; the client library's own would multiply with them.
        self._connect = PrometheusConnect(
            url.rstrip("/"), auth=basic, session=session, timeout=timeout, retry=Retry(total=0, status_forcelist=())
        )
        session.mount(url, HTTPAdapter(max_retries=0, pool_maxsize=32))
        self._clock = _Clock()
        session.hooks["response"] += [self._clock.note, _checked]

    @property
    def lag(self) -> timedelta:
        """By how much the server's clock was behind ours when it last answered, at most; 0 where that cannot be told.

        What it calls an instant is not over there until that time has gone by: before, more samples of it may come.
        """
        return timedelta(seconds=self._clock.behind)

    async def instant(self, query: str, at: datetime) -> Instant:
        """The series that `query` gives at one instant."""
        whole = at.microsecond == 0
        time = str(int(at.timestamp())) if whole else f"{at.timestamp():.3f}"
        params = {"time": time, **_WHOLE_ANSWERS, **_FRESH}
        return await asyncio.to_thread(self._instant, query, params)

    def _instant(self, query: str, params: Mapping[str, str]) -> Instant:
        """All of it where it was read: what is made by one thread costs another twice as much to look at."""
        found = self._try(lambda: self._connect.custom_query(query, params=params))
        return Instant(self._remembered.written(query, found), [one.value.value for one in found])

    async def between(self, query: str, start: datetime, end: datetime, step: int) -> tuple[Series, ...]:
        """The series that `query` gives at start, start + step seconds, ..., end."""
        params = dict(_WHOLE_ANSWERS)
        found = await asyncio.to_thread(
            self._try,
            lambda: self._connect.custom_query_range(
                query, start_time=start, end_time=end, step=str(step), params=params
            ),
        )
        return tuple(
            [Series(bytes(one.metric), [(round(sample.at), sample.value) for sample in one.values]) for one in found]
        )

    def _try(self, request: Callable[[], Any]) -> list[_Row]:
        try:
            token = self._token() if callable(self._token) else self._token
            headers = self._headers()
        except (OSError, AccessError) as error:
            raise ProviderError(f"{self._shown} was not asked: {error}") from None
        self._connect.headers = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.2, max=1.0),
            retry=retry_if_exception_type((requests.ConnectionError, requests.Timeout, _UnavailableError)),
            reraise=True,
        )
        try:
            rows: list[_Row] = retrying(self._once, request)
        except (requests.RequestException, PrometheusApiClientException, RetryError, ValueError) as error:
            raise ProviderError(f"{self._shown} did not answer: {_reason(error)}") from error
        except msgspec.MsgspecError as error:
            raise ProviderError(f"{self._shown} answered in a form that is not Prometheus's: {error}") from error
        return rows

    def _once(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except PrometheusApiClientException as error:
            if str(error).startswith(("HTTP Status Code 5", "HTTP Status Code 429")):
                raise _UnavailableError(str(error)) from error
            raise


class _Session(requests.Session):
    """Asks in the body of a request: a query names a hundred deployments, and a URL is quoted letter by letter.

    Where nothing may be posted (a proxy that only lets read, an address that is redirected) it asks by the URL.
    """

    _posts = True

    def request(  # type: ignore[override] # what the client library gives
        self, method: str, url: str, params: Mapping[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """Ask, whatever the method says."""
        if self._posts:
            form = {**more, "headers": {**(more.get("headers") or {}), **_FORM}}
            answer = super().request("POST", url, data=_form(params or {}), allow_redirects=False, **form)
            if answer.status_code not in _NOT_POSTED:
                return answer
            answer.close()
        answer = super().request("GET", url, params=params, **more)
        self._posts = self._posts and not answer.ok
        return answer

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow within the same server alone, or from http to https there: logins go to nobody else."""
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        asked, there = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
        upgraded = (asked.scheme, there.scheme) == ("http", "https") and asked.hostname == there.hostname
        if (asked.scheme, asked.netloc) != (there.scheme, there.netloc) and not upgraded:
            where = f"{there.scheme}://{there.hostname}"
            resp.close()
            raise requests.TooManyRedirects(f"it redirects to {where}, which is not followed: give that address itself")
        return target


def _form(params: Mapping[str, Any]) -> str:
    return "&".join([f"{name}={_quoted(str(value))}" for name, value in params.items()])


@lru_cache(maxsize=_QUERIES)
def _quoted(value: str) -> str:
    """A value of a form. A query is quoted letter by letter, and is the same in each tick."""
    return quote_plus(value)


class _Clock:
    """How many seconds the server's clock is behind ours, at most; 0 where it may be none."""

    behind = 0.0

    def note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Compare clocks. An answer's date is cut to whole seconds, and was written between the question and now."""
        try:
            there = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return
        now = time.time()
        surely = now - response.elapsed.total_seconds() > there + 1
        self.behind = now - there if surely else 0.0


class _Remembered:
    """The labels of what was answered to each query last: they seldom change, and are handed out again then.

    So who asks sees by the identity of the sequence alone that the series are the same, in the same order.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[msgspec.Raw], list[bytes]]] = {}
        self._lock = Lock()
        """Queries are asked side by side, in threads."""

    def written(self, query: str, rows: Sequence[_Row]) -> list[bytes]:
        found = [row.metric for row in rows]
        known = self._known.get(query)
        if known is None or known[0] != found:
            written = [bytes(each) for each in found]
            known = [msgspec.Raw(each) for each in written], written  # by themselves: not the whole answer is kept
        with self._lock:
            self._known.pop(query, None)
            self._known[query] = known
            while len(self._known) > _QUERIES:
                del self._known[next(iter(self._known))]
        return known[1]


class _PartialError(PrometheusApiClientException):
    """An answer that lacks a part."""


class _UnavailableError(PrometheusApiClientException):
    """An answer that may be another one soon."""


def _checked(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Have an answer read by msgspec, and refused where it says itself that a part of it is missing."""
    if response.status_code != requests.codes.ok:
        return response
    answer = _decoded(b"".join(response.iter_content(_AT_ONCE)))
    if answer.warnings:
        raise _PartialError(f"it answered in part: {'; '.join(answer.warnings)}")
    if answer.partial:  # VictoriaMetrics' word for it
        raise _PartialError("it answered in part: some of its storage nodes did not answer")
    read = {"data": {"result": answer.data.result}}
    response.json = lambda **_: read  # type: ignore[method-assign] # the client library asks for this next
    return response


def _decoded(body: bytes) -> _Answer:
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError:  # msgspec knows no +Inf, which counters never are: not worth a look before
        return _DECODER.decode(body.replace(b'"+Inf"]', b'"Inf"]'))


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def _redacted(url: str) -> str:
    """The URL without a password that may stand in it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, host + (f":{parts.port}" if parts.port else ""), parts.path, "", ""))
