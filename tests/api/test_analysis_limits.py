"""What the judge cannot do is refused when it is written, by model and schema alike."""

import pytest
from pydantic import ValidationError

from controller.api.checks import LatencyCheck
from controller.api.metric import Metric
from controller.api.rollout import Analysis


@pytest.mark.parametrize("given", [{"slowerThan": "250ms"}, {"max": 0.02}])
def test_a_latency_ceiling_needs_both_its_edge_and_its_share(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        LatencyCheck.model_validate(given)


def test_the_threshold_judge_needs_a_limit() -> None:
    with pytest.raises(ValidationError, match="needs max"):
        Analysis.model_validate({"judge": "threshold", "metrics": [{"errorRate": {}}, {"latency": {}}]})


@pytest.mark.parametrize(
    "metrics", [[{"errorRate": {"max": 0.02}}], [{"errorRate": {}}, {"latency": {"slowerThan": "250ms", "max": 0.05}}]]
)
def test_the_threshold_judge_takes_any_limit(metrics: list[dict[str, object]]) -> None:
    assert Analysis.model_validate({"judge": "threshold", "metrics": metrics}).judge == "threshold"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": -1}, "has count -1; expected at least 0"),
        ({"failureLimit": -2}, "has failureLimit -2; expected -1 for no limit, or at least 0"),
        ({"inconclusiveLimit": -1}, "has inconclusiveLimit -1; expected at least 0"),
        ({"consecutiveErrorLimit": "-1"}, "has consecutiveErrorLimit -1; expected at least 0"),
        ({"consecutiveSuccessLimit": -3}, "has consecutiveSuccessLimit -3; expected at least 0"),
        ({"failureLimit": -1}, "switched off, so that no value could make it fail"),
        ({"failureLimit": "-1", "consecutiveSuccessLimit": 0}, "switched off"),
        ({"interval": "0s"}, "has interval 0s; expected one longer than 0"),
        ({"interval": "0.0m0ms", "count": 2}, "expected one longer than 0"),
    ],
)
def test_a_limit_that_would_decide_at_once_or_never_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Metric.model_validate({"name": "m", "provider": {"prometheus": {"query": "up"}}, **given})


@pytest.mark.parametrize(
    "given",
    [
        {"failureLimit": -1, "consecutiveSuccessLimit": 3, "interval": "1s"},
        {"failureLimit": -1, "consecutiveSuccessLimit": "{{args.n}}"},
        {"count": 0, "failureLimit": 3, "interval": "10ms"},
    ],
)
def test_limits_of_argo_are_read(given: dict[str, object]) -> None:
    Metric.model_validate({"name": "m", "provider": {"prometheus": {"query": "up"}}, **given})
