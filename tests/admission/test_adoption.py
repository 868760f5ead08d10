"""What the mutating webhook filled in does not make a new revision of a SeldonDeployment that a rollout takes over."""

from typing import Any

from controller.api.deployment import DEFAULTS
from controller.rollout.adoption import template
from controller.rollout.revisions import template_hash

SPEC = {"predictors": [{"name": "p", "graph": {"name": "m", "implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}}]}


def _live(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "iris", "namespace": "ml"}, "spec": {**SPEC, **more}}


def test_defaults_that_were_filled_in_make_no_revision() -> None:
    written = {"spec": SPEC}
    assert template_hash(template(_live(**DEFAULTS), like=written)) == template_hash(written)


def test_what_both_state_or_what_is_no_default_stays() -> None:
    written = {"spec": {**SPEC, "protocol": "seldon"}}
    taken = template(_live(**DEFAULTS | {"transport": "grpc"}), like=written)
    assert taken["spec"] == {**SPEC, "protocol": "seldon", "transport": "grpc"}
