"""Can a comparison be judged at all? What is missing, how to get it, and what its traffic is like.

It is read off what the judge has read anyway. Where series are missing, one query for all of those comparisons tells
whether they are there under other labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from analysis.arms import MISSING
from analysis.checks import ShadowAgreement, is_required
from analysis.counters import ArmCounters, Counters
from analysis.judges.parts import ENOUGH_HISTORY, Judged, choose_edges
from analysis.judges.sequential import Sequential
from analysis.session import Session
from analysis.signals.families import FAMILIES, NEEDED
from analysis.spec import Arm, Comparison, ErrorRate, Latency
from analysis.verdict import Preflight

SERVED = "seldon_api_executor_server_requests_seconds"
"""The family that orchestrators count requests in."""
PATIENCE = 60
"""Seconds from the start in which series and requests may still come."""
QUIET = 300
"""Seconds without a request after which an arm that had some is said to get none."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where Prometheus has what was missed."""

    spaces: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By deployment_name: the namespaces that its series name; an empty one where the label is missing."""
    nameless: bool = False
    """Some series of the family have no deployment_name."""


def missed(comparison: Comparison, counters: Counters) -> tuple[Arm, ...]:
    """The arms of which no orchestrator was ever read."""
    arms = ((comparison.stable, counters.stable), (comparison.canary, counters.canary))
    return tuple([arm for arm, seen in arms if not seen.pods])


def look(comparison: Comparison, session: Session, counters: Counters, found: Found, *, failure: str = "") -> Preflight:
    """What the judge can do with what it has read so far; `failure` says why the last reading failed, if it did."""
    ready, reason, message = _state(comparison, session, counters, found, failure)
    shares = _shares(session)
    return Preflight(ready=ready, reason=reason, message=message, requests=_rate(comparison, session), shares=shares)


def _state(
    comparison: Comparison, session: Session, counters: Counters, found: Found, failure: str
) -> tuple[bool | None, str, str]:
    if failure:
        return None, "PrometheusFails", f"metrics cannot be read: {failure}"
    if session.at is None:
        return None, "Measuring", "nothing was read yet"
    problems = list(_problems(comparison, session, counters, found))
    needed = [(reason, text) for reason, text, required in problems if required]
    if not needed:
        return True, "Measured", "; ".join([text for _, text, _ in problems])
    if session.at < comparison.started_at.timestamp() + PATIENCE:
        return None, "Measuring", f"not yet: {needed[0][1]}"
    return False, needed[0][0], "; ".join(dict.fromkeys([text for _, text in needed]))


def _problems(
    comparison: Comparison, session: Session, counters: Counters, found: Found
) -> Iterator[tuple[str, str, bool]]:
    """What is missing: a word, a sentence, and whether a verdict needs it."""
    judge = comparison.plan.judge
    arms = ((comparison.stable, counters.stable), (comparison.canary, counters.canary))
    alone = comparison.stable == comparison.canary  # what is compared with itself is told once
    for number, (arm, seen) in enumerate(arms[:1] if alone else arms):
        if number == 0 and judge == "threshold":
            continue
        if session.arms.absent[number] >= MISSING:
            yield *_series(arm, found), True
        elif (quiet := _quiet(comparison, session, number)) is not None:
            yield (
                "NoTraffic",
                f"{_arm(number)} {quiet}: send requests through the gateway, or give it more weight",
                True,
            )
        else:
            yield from _metrics(comparison, arm, seen, found)
    if _no_edge(session):
        text = "latency: of all histogram buckets of stable none holds 40 % of its requests: configure longer ones"
        yield "NoUsableBucket", text, _latency_required(comparison)


def _metrics(comparison: Comparison, arm: Arm, seen: ArmCounters, found: Found) -> Iterator[tuple[str, str, bool]]:
    """What single metrics lack of an arm that is there."""
    if any(isinstance(metric, Latency) for metric in comparison.plan.metrics):
        required = _latency_required(comparison)
        if not seen.pods:
            yield *_series(arm, found), required
        elif not any(pod.buckets for pod, _ in seen.pods.values()):
            text = f"{SERVED}_bucket of {arm.deployment} is not there, so latency cannot be judged: do not drop it"
            yield "NoHistogram", text, required
    kinds = {kind for source in seen.signals.values() for kind, _ in source}
    for metric in comparison.plan.metrics:
        if isinstance(metric, ShadowAgreement) and arm != comparison.canary:
            continue  # the canary's orchestrators count for both
        families = NEEDED.get(type(metric), ())
        if families and not any(FAMILIES[family][0] in kinds for family in families):
            text = f"{metric.name}: {' and '.join(families)} of {arm.deployment} is not there: {_maker(metric)}"
            yield "NoSignal", text, is_required(metric.action, metric.required)


def _maker(metric: object) -> str:
    if isinstance(metric, ShadowAgreement):
        return "it is our orchestrator's (Seldon Core's executor has none), in a canary that began with this metric"
    return "see docs/orchestrator.md, what models answer"


def _series(arm: Arm, found: Found) -> tuple[str, str]:
    """Why there are no series of an arm, as far as other labels tell."""
    name = f"{SERVED}_count"
    spaces = found.spaces.get(arm.deployment, frozenset())
    if "" in spaces:
        text = f"{name} of {arm.deployment} has no label namespace: the scrape configuration must add it"
        return "LabelMissing", text
    if spaces and arm.namespace not in spaces:
        text = f"{name} of {arm.deployment} has the namespace {', '.join(sorted(spaces))} instead of {arm.namespace}"
        return "LabelMissing", f"{text}: the scrape configuration must set it to the pod's"
    if not spaces and found.nameless:
        return "LabelMissing", f"{name} has no label deployment_name: the scrape configuration must keep it"
    text = f"Prometheus has no {name} with deployment_name {arm.deployment} in namespace {arm.namespace}"
    return "NoSeries", f"{text}: no request came yet, or its pods are not scraped"


def _quiet(comparison: Comparison, session: Session, number: int) -> str | None:
    """Since when an arm gets no requests, where that is too long."""
    seen = session.arms
    last, at = seen.asked[number], seen.at or 0
    if last is None:
        return "has had no requests yet"
    started = int(comparison.started_at.timestamp())
    return f"has had no requests for {QUIET // 60} minutes" if at - max(last, started) >= QUIET else None


def _arm(number: int) -> str:
    return ("stable", "the canary")[number]


def _latency_required(comparison: Comparison) -> bool:
    return any(
        is_required(metric.action, metric.required) for metric in comparison.plan.metrics if isinstance(metric, Latency)
    )


def _judged(session: Session) -> list[Judged]:
    judges = [session.judge, *[judge for _, judge in session.asides]]
    return [judged for judge in judges if isinstance(judge, Sequential) for judged in judge.metrics]


def _no_edge(session: Session) -> bool:
    """Whether latency has been measured enough to choose edges, and there is none to choose."""
    for judged in _judged(session):
        if isinstance(judged.metric, Latency) and not judged.parts:
            seen = _edges(judged)
            if seen and not choose_edges(seen):
                return True
    return False


def _edges(judged: Judged) -> list[tuple[float, float]]:
    """By edge: stable's share of slower requests, once enough of them were seen."""
    found = []
    for edge, requests, bad in judged.past:
        if requests >= ENOUGH_HISTORY:
            found.append((edge, bad / requests))
    return found


def _rate(comparison: Comparison, session: Session) -> float:
    pace = session.arms.pace
    requests = pace.stable + (0.0 if comparison.mirrored else pace.canary)
    return _two(requests / pace.seconds) if pace.seconds else 0.0


def _shares(session: Session) -> tuple[tuple[str, float | None, float], ...]:
    found: list[tuple[str, float | None, float]] = []
    for judged in _judged(session):
        name = judged.metric.name
        if isinstance(judged.metric, ErrorRate):
            statement = judged.statement(0)
            if statement.known >= ENOUGH_HISTORY:
                found.append((name, None, _two(statement.share)))
        elif judged.parts:
            parts = [
                (part.edge, judged.statement(number)) for number, part in enumerate(judged.parts) if not part.ceiling
            ]
            found += [(name, edge, _two(statement.share)) for edge, statement in parts]
        else:
            shares = dict(_edges(judged))
            found += [(name, edge, _two(shares[edge])) for edge in choose_edges(sorted(shares.items()))]
    return tuple(found)


def _two(value: float) -> float:
    """Two telling digits: what is shown does not move with every request."""
    return float(f"{value:.2g}")
