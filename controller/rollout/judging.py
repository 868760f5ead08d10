"""Judging: between a rollout's status and the judge. What is compared, and what the judge says in the API's words."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from analysis import checks
from analysis import spec as judge
from analysis.samples import Traffic
from analysis.spec import Arm, Comparison
from analysis.verdict import Judgement, Preflight
from controller.api.arms import RevisionStatus
from controller.api.checks import MetricCheck
from controller.api.rollout import Analysis, AnalysisStatus, MetricStatus, RolloutStatus
from controller.api.seen import ComparedStatus, PreflightStatus
from controller.rollout import traffic
from controller.rollout.observed import Observed, TrafficWindow
from controller.rollout.phases import IN_PROGRESS, Phase


def comparison(obs: Observed, status: RolloutStatus) -> Comparison | None:
    """Return what the judge should watch for a rollout, if anything."""
    stable, canary, started = status.stable_revision, status.canary_revision, status.analysis.started_at
    watched = Phase(status.phase) in IN_PROGRESS
    if obs.spec is None or stable is None or canary is None or started is None or not watched:
        return None
    if stable.hash not in obs.revisions or canary.hash not in obs.revisions:
        return None
    return Comparison(
        key=(obs.namespace, obs.name),
        stable=_arm(obs, status, stable),
        canary=_arm(obs, status, canary),
        plan=plan(obs.spec.analysis, baking=status.analysis.baking),
        started_at=started,
        restarts=status.analysis.restarts,
        mirrored=status.weights.mirror > 0 or status.weights.control > 0,
        shifts=shifts(status.analysis),
    )


def shifts(analysis: AnalysisStatus) -> tuple[judge.Shift, ...]:
    """Return what the canary's share of live requests was while it is judged."""
    return tuple(
        judge.Shift(at=change.at, share=None if change.percent is None else change.percent / 100)
        for change in analysis.weights
    )


def _arm(obs: Observed, status: RolloutStatus, revision: RevisionStatus) -> Arm:
    """Return an arm. While stable lives on copies the gateway counts the canary alone: only orchestrators see both."""
    services = () if status.weights.control else traffic.services(obs, obs.revisions[revision.hash])
    return Arm(namespace=obs.namespace, deployment=revision.name, services=services)


def plan(analysis: Analysis, *, baking: bool = False) -> judge.Plan:
    """Return the judge's plan for what a person asked for; in a bake a detector takes the judge's place."""
    metrics = [_metric(metric) for metric in analysis.metrics]
    return judge.Plan(
        judge="change" if baking else analysis.judge,
        alpha=analysis.alpha,
        beta=analysis.beta,
        step_beta=analysis.step_beta,
        warmup=analysis.warmup,
        min_samples=analysis.min_samples,
        metrics=_watched(metrics) if baking else tuple(metrics),
    )


def _watched(metrics: Sequence[object]) -> tuple[judge.Metric, ...]:
    """Return what a bake watches: failed requests and latency, of which both arms have plenty."""
    compared = [metric for metric in metrics if isinstance(metric, judge.ErrorRate | judge.Latency)]
    return tuple(replace(metric, required=True) for metric in compared) or (judge.ErrorRate(), judge.Latency())


def _metric(metric: MetricCheck) -> judge.Metric | checks.Check:
    found = _check(metric)
    return replace(found, action=metric.action or found.action, required=metric.required)


def _check(metric: MetricCheck) -> judge.Metric | checks.Check:
    if metric.latency is not None:
        return judge.Latency(slower_than=metric.latency.slower_than, max=metric.latency.max)
    if metric.traffic is not None:
        return checks.TrafficSplit(tolerance=metric.traffic.tolerance)
    if metric.prediction_drift is not None:
        return checks.PredictionDrift(max=metric.prediction_drift.max)
    if metric.shadow_agreement is not None:
        return checks.ShadowAgreement(max=metric.shadow_agreement.max)
    if metric.outlier_rate is not None:
        return checks.OutlierRate(max=metric.outlier_rate.max)
    if metric.client_error_rate is not None:
        return checks.ClientErrorRate(max=metric.client_error_rate.max)
    if (asked := metric.reward) is not None:
        return checks.Reward(low=asked.low, high=asked.high, tolerance=asked.tolerance, delay=asked.delay)
    return judge.ErrorRate(max=metric.error_rate.max if metric.error_rate else None)


def opinion(judgement: Judgement | None, tracked: Comparison | None) -> AnalysisStatus | None:
    """Return a judgement as status, stamped with the comparison that it is about."""
    if judgement is None or tracked is None:
        return None
    return AnalysisStatus(
        started_at=tracked.started_at,
        verdict=judgement.verdict.value,
        promising=judgement.promising,
        message=judgement.message,
        updated_at=judgement.updated_at,
        metrics=tuple(
            MetricStatus(
                name=finding.metric,
                verdict=finding.verdict.value,
                message=finding.message,
                canary=_rounded(finding.canary),
                stable=_rounded(finding.stable),
                evidence=_evidence(finding.evidence),
                needed=finding.needed,
                promote_evidence=_evidence(finding.promote_evidence),
                promote_needed=finding.promote_needed,
                step_needed=_less(finding.step_needed, finding.promote_needed),
                canary_requests=finding.canary_requests,
                stable_requests=finding.stable_requests,
                action=finding.action,
                required=finding.required,
            )
            for finding in judgement.findings
        ),
        preflight=_preflight(judgement.preflight),
    )


def _preflight(found: Preflight | None) -> PreflightStatus | None:
    if found is None:
        return None
    return PreflightStatus(
        ready="Unknown" if found.ready is None else "True" if found.ready else "False",
        reason=found.reason,
        message=found.message,
        requests=found.requests,
        compared=tuple(
            ComparedStatus(name=name, slower_than=None if edge is None else timedelta(seconds=edge), stable=stable)
            for name, edge, stable in found.shares
        ),
    )


def _less(step: float | None, promote: float) -> float | None:
    return float(f"{step:.4g}") if step is not None and step < promote else None


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _evidence(value: float) -> float:
    """Evidence grows without bound; four digits tell all that a reader needs, within what JSON can hold."""
    return float(f"{min(max(value, 1e-12), 1e12):.4g}")


def window(counted: Traffic | None, seen: Traffic | None, tracked: Comparison | None) -> TrafficWindow | None:
    """Return the last window of counted requests: the judge's, where it begins after the last change of weights.

    Args:
        counted: the judge's window.
        seen: what was seen of the last change between two ticks.
        tracked: the comparison that both are about.
    """
    changed = max((tracked.started_at, *tracked.restarts)) if tracked is not None else None
    late = changed is not None and (counted is None or counted.since < changed)
    found = seen if seen is not None and late else counted
    if found is None:
        return None
    return TrafficWindow(since=found.since, until=found.at, stable=found.stable_requests, canary=found.canary_requests)


def awaits_share(status: RolloutStatus) -> bool:
    """Say whether a rollout waits to see its weight at the gateway, and for nothing else."""
    return status.blocked_on is not None and status.blocked_on.kind == "weight"


def until_next(now: datetime, *, step: timedelta, settle: timedelta) -> timedelta:
    """Return how long it is until the next instant, a multiple of `step`, is `settle` old: then it can be read."""
    behind = (now - settle - datetime.fromtimestamp(0, UTC)) % step
    return step - behind
