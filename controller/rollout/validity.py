"""Whether a SeldonRollout can be done: what its schema cannot say. Pure; used in each pass and by the webhook."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from controller.api.faults import faults
from controller.api.rollout import RolloutSpec
from controller.errors import InvalidSpecError
from controller.rollout import comparing, judging, revisions


def read(rollout: Mapping[str, Any]) -> tuple[RolloutSpec | None, str]:
    """Return the spec, or on failure nothing and the field, the value and what would be right."""
    try:
        spec = RolloutSpec.model_validate(rollout.get("spec") or {})
        revisions.check_template((rollout.get("spec") or {}).get("template") or {})
        judging.plan(spec.analysis)
        comparing.check(spec)
    except ValidationError as error:
        return None, str(next(faults(error)))
    except InvalidSpecError as error:
        return None, str(error)
    except ValueError as error:
        return None, f"spec.analysis: {error}"
    return spec, ""
