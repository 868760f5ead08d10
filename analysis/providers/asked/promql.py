"""A PromQL query for one value: a scalar is a number, a vector or a matrix a list of numbers, without their labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from analysis.expressions.errors import ExpressionError
from analysis.expressions.evaluate import compiled
from analysis.expressions.functions import FUNCTIONS, Function
from analysis.expressions.values import Value, number, text
from analysis.providers.access import OPEN, Access, AccessError
from analysis.providers.asked.answer import Answer, AskError
from analysis.providers.asked.http import Credentials, Http, Request, parsed, shown
from analysis.runs.durations import duration

MOST_POINTS = 11_000
"""Instants of a range; Prometheus itself refuses more."""
_WHOLE_ANSWERS = {"partial_response": "false", "deny_partial_response": "1"}
"""Thanos and VictoriaMetrics answer with what they have unless told that a part is no answer; Prometheus ignores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The time that is asked about: expressions over `now()` and `duration("5m")`, and the step between values."""

    start: str
    end: str
    step: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked, and whom. `timeout` in seconds."""

    address: str
    query: str
    timeout: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    insecure: bool = False
    basic: tuple[str, str] | None = field(default=None, repr=False)
    oauth2: Credentials | None = None
    range: Range | None = None
    door: Access = OPEN
    """What this Prometheus asks for; a header that is given goes before one of the door."""


async def ask(http: Http, query: Query, now: datetime) -> Answer:
    """Ask once.

    Raises:
        AskError: there is no answer that can be used; the text says from whom and why.
    """
    where = shown(query.address)
    try:
        headers = {**query.door.headers(), **query.headers}
    except AccessError as error:
        raise AskError(f"{where} was not asked: {error}") from None
    request = Request(
        url=query.address.rstrip("/") + ("/api/v1/query" if query.range is None else "/api/v1/query_range"),
        method="POST",
        form={"query": query.query, "timeout": f"{query.timeout:g}s", **_WHOLE_ANSWERS, **_instants(query, now)},
        headers=headers,
        timeout=query.timeout,
        insecure=query.insecure,
        basic=query.basic,
        oauth2=query.oauth2,
        door=query.door,
    )
    response = await http.send(request)
    if response.status == 405:  # a proxy that lets nothing be posted
        response = await http.send(replace(request, method="GET", parameters=request.form or {}, form=None))
    if response.status != 200:
        raise AskError(f"{where} answered HTTP {response.status}: {_refusal(response.body, where)}")
    answer = parsed(response.body, where)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise AskError(f"{where} answered without success: {_refusal(response.body, where)}")
    if answer.get("isPartial"):  # VictoriaMetrics' word for it
        raise AskError(f"{where} answered in part: some of its storage nodes did not answer")
    metadata = {"query": query.query[:1000]}
    if warnings := answer.get("warnings"):
        metadata["warnings"] = "; ".join(map(str, warnings))[:1000]
    try:
        return Answer(_value(answer["data"]["resultType"], answer["data"]["result"]), metadata)
    except (KeyError, TypeError, ValueError, IndexError):
        raise AskError(f"{where} answered in a form that is not Prometheus's") from None


def _value(kind: str, result: Any) -> Value:
    match kind:
        case "scalar":
            return float(result[1])
        case "vector":
            return [float(series["value"][1]) for series in result]
        case "matrix":
            return [float(sample[1]) for series in result for sample in series["values"]]
        case _:
            raise AskError(f"the query gives a {kind}; expected a scalar, a vector or a range of vectors")


def _refusal(body: bytes, where: str) -> str:
    try:
        found = parsed(body, where)
    except AskError:
        return body[:200].decode(errors="replace")
    return str(found.get("error", found) if isinstance(found, dict) else found)[:300]


def _instants(query: Query, now: datetime) -> dict[str, str]:
    if query.range is None:
        return {"time": f"{now.timestamp():.3f}"}
    start, end = (instant(text, now) for text in (query.range.start, query.range.end))
    step = query.range.step.total_seconds()
    if step <= 0 or not 0 <= (end - start) / step <= MOST_POINTS:
        raise AskError(
            f"rangeQuery from {start:.0f} to {end:.0f} in steps of {step:g} s: expected start before end, "
            f"and at most {MOST_POINTS} steps"
        )
    return {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}


def instant(expression: str, now: datetime) -> float:
    """Return the seconds since 1970 that an expression such as `now() - duration("10m")` means.

    Raises:
        AskError: it means no instant.
    """
    try:
        return float(number(compiled(expression, (), _clock(now)).value({}), "rangeQuery"))
    except (ExpressionError, ValueError) as error:
        raise AskError(f"rangeQuery {expression!r}: {error}") from None


def _clock(now: datetime) -> dict[str, Function]:
    return {
        **FUNCTIONS,
        "now": Function(now.timestamp, 0, 0),
        "duration": Function(lambda value: duration(text(value, "duration")).total_seconds(), 1, 1),
    }
