"""What the stories really reached: faults, verbs, cells of the state machine. What is never reached is not tested."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from controller.rollout import answers, effects

Reached = Counter[tuple[str, ...]]
"""(`fault`, name), (`happening`, kind, which), (`verb`, verb, done or refused) (`cell`, phase, event),
(`own`, `sticky`, `dependsOn`, `adopts` or a part, what came of it, of whom), counted."""


@contextmanager
def counted(reached: Reached) -> Iterator[None]:
    """Count the cells that the controllers go through, and the verbs that they answer."""
    real_event, real_refused = effects.apply_event, answers.refused

    def apply_event(event: Any, obs: Any, status: Any, **more: Any) -> Any:
        reached["cell", status.phase, event.value] += 1
        return real_event(event, obs, status, **more)

    def refused(obs: Any, status: Any, intent: Any) -> str:
        said = real_refused(obs, status, intent)
        reached["verb", intent.verb, "refused" if said else "done"] += 1
        if said:
            reached["cell", status.phase, intent.verb] += 1
        return said

    effects.apply_event, answers.refused = apply_event, refused
    try:
        yield
    finally:
        effects.apply_event, answers.refused = real_event, real_refused


def never(reached: Reached, expected: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return what was expected and not reached."""
    return sorted(key for key in expected if not reached[key])
