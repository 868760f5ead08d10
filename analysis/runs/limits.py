"""The limits of one metric: what its counts say of it. The semantics are those of Argo Rollouts, with no gaps."""

from dataclasses import replace

from analysis.runs.model import MetricState, Phase, Plan


def assess(state: MetricState, plan: Plan) -> MetricState:
    """Return the metric as its measurements leave it: running, or at its end with the reason."""
    if state.phase.ended or state.last is None:
        return state
    phase, message = _verdict(state, plan)
    return replace(state, phase=phase, message=message)


def _verdict(state: MetricState, plan: Plan) -> tuple[Phase, str]:
    crossed = _crossed(state, plan)
    if crossed is not None:
        phase, message = crossed
        said = state.last.message if state.last is not None else ""
        value = state.last.value if state.last is not None else ""
        detail = said or (f"last value {value}" if value else "")
        return phase, f"{message}: {detail}" if detail else message
    wanted = plan.consecutive_success_limit
    if 0 < wanted <= state.consecutive_success:
        return Phase.SUCCESSFUL, f"{state.consecutive_success} successes in a row, as many as were asked for"
    if plan.count is not None and state.count >= plan.count:
        return _exhausted(state, plan)
    return Phase.RUNNING, ""


def _crossed(state: MetricState, plan: Plan) -> tuple[Phase, str] | None:
    """Return the limit that is crossed; where several are, the last of Failed, Inconclusive, Error."""
    found = None
    if plan.failure_limit is not None and state.failed > plan.failure_limit:
        found = Phase.FAILED, f"{state.failed} failed, and failureLimit is {plan.failure_limit}"
    if state.inconclusive > plan.inconclusive_limit:
        text = f"{state.inconclusive} inconclusive, and inconclusiveLimit is {plan.inconclusive_limit}"
        found = Phase.INCONCLUSIVE, text
    if state.consecutive_error > plan.consecutive_error_limit:
        text = f"{state.consecutive_error} errors in a row, and consecutiveErrorLimit is {plan.consecutive_error_limit}"
        found = Phase.ERROR, text
    return found


def _exhausted(state: MetricState, plan: Plan) -> tuple[Phase, str]:
    """All measurements are taken, and no limit was reached."""
    if plan.consecutive_success_limit <= 0:
        return Phase.SUCCESSFUL, f"{state.successful} of {state.count} measurements were successful"
    short = f"{state.count} measurements without {plan.consecutive_success_limit} successes in a row"
    return (Phase.FAILED if plan.failure_limit is None else Phase.INCONCLUSIVE), short


def ended_early(state: MetricState, plan: Plan, why: str) -> MetricState:
    """Return a metric whose run ends before it: what it measured counts, nothing measured is no success."""
    if state.count == 0:
        return replace(state, phase=Phase.INCONCLUSIVE, message=f"{why} before it had a value")
    if plan.consecutive_success_limit > state.consecutive_success:
        text = f"{why} before {plan.consecutive_success_limit} successes in a row"
        return replace(state, phase=Phase.INCONCLUSIVE, message=text)
    text = f"{why}; {state.successful} of {state.count} measurements were successful"
    return replace(state, phase=Phase.SUCCESSFUL, message=text)
