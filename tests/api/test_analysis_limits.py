"""What the judge cannot do is refused when it is written, by model and schema alike."""

import pytest
from pydantic import ValidationError

from controller.api.checks import LatencyCheck
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
