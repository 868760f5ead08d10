"""Chances: whether a canary can be judged, and what would be found, from the condition AnalysisReady."""

from controller.api.rollout import RolloutStatus
from controller.api.seen import ANALYSIS_READY

_STARTS = {"True": "It can be judged", "False": "It cannot be judged"}
_INSTALLATION = frozenset({"NoPrometheus", "PrometheusFails", "NoSeries", "LabelMissing"})
"""Reasons that lie in how Prometheus is installed, and whose cause another command finds."""


def chances(status: RolloutStatus) -> str:
    """Say whether the canary can be judged; nothing where none is compared."""
    found = next((one for one in status.conditions if one.type == ANALYSIS_READY), None)
    if found is None:
        return ""
    start = _STARTS.get(found.status, "Can it be judged? Not known")
    if found.status == "True" and found.message:
        return f"{start}: {found.message}"
    hint = ", see `seldon-rollouts doctor`" if found.reason in _INSTALLATION else ""
    return f"{start}: {found.message} ({found.reason}{hint})" if found.message else f"{start} ({found.reason}{hint})"
