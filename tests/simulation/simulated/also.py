"""What a story may have beside: which parts, and what happens to them, drawn from a stream of their own."""

import random
from typing import Any

PARTS = ("group", "runs", "webhook", "autoscaler", "matched", "deletion")
POLICIES = ("Delete", "KeepStable", "Leave")
WAYS_OF: dict[str, tuple[int, ...]] = {"webhook": (22, 23), "runs": (24, 25, 26), "matched": (27, 28)}
"""The ways to release that a part has, by their places."""
MATES = ("ranker", "filter")
Drawn = list[tuple[float, str, tuple[Any, ...]]]


def parts(seed: int, chance: random.Random) -> tuple[str, ...]:
    """Return which parts a story has: one in six of fourteen stories, in turn; some have another beside."""
    place = seed % 14
    if place >= len(PARTS):
        return ()
    more = {chance.choice(PARTS)} if chance.random() < 0.25 else set()
    return tuple(sorted({PARTS[place], *more}))


def policy(seed: int, *, own: bool) -> str:
    """Return what becomes of a rollout that is deleted, in turn; one in a person's VirtualService is never left."""
    return POLICIES[seed // 14 % (2 if own else 3)]


def way(found: tuple[str, ...], chance: random.Random) -> int | None:
    """Draw a way to release that one of the parts has; None where none of them has any."""
    places = [place for part in found for place in WAYS_OF.get(part, ())]
    return chance.choice(places) if places else None


def happenings(found: tuple[str, ...], chance: random.Random) -> Drawn:
    """Draw what happens to the parts."""
    drawn: Drawn = []
    for part in found:
        for _ in range(chance.randint(2, 5) if part in _DRAWS else 0):
            kinds = _DRAWS[part]
            kind = chance.choices(list(kinds), weights=[weight for weight, _ in kinds.values()])[0]
            gap = round(chance.choice([0.01, 3.0, 20.0, 60.0]) * (0.5 + chance.random()), 3)
            drawn.append((gap, kind, kinds[kind][1](chance)))
    return drawn


def ending(chance: random.Random) -> Drawn:
    """Draw the end of a rollout: it is deleted, and in most stories applied again."""
    drawn: Drawn = [(round(chance.choice([0.5, 12.0, 60.0]) * (0.5 + chance.random()), 3), "delete", ())]
    if chance.random() < 0.6:
        drawn.append(
            (round(chance.choice([2.0, 60.0, 400.0]) * (0.5 + chance.random()), 3), "apply", (_model(chance),))
        )
    return drawn


def _model(chance: random.Random) -> str:
    return f"{chance.choice(['good', 'good', 'good', 'bad', 'stuck'])}-{chance.randint(1, 3)}"


_DRAWS: dict[str, dict[str, tuple[int, Any]]] = {
    "group": {
        "together": (
            6,
            lambda c: (
                c.choice(("good-1", "good-2", "good-3", "bad-1")),
                _model(c),
                _model(c),
                c.choice((0.0, 0.0, 5.0, 40.0)),
            ),
        ),
        "member": (
            3,
            lambda c: (c.choice(MATES), c.choice(("promote", "abort", "retry", "pass", "pause", "promote-full"))),
        ),
        "leaver": (1, lambda c: (c.choice(MATES),)),
    },
    "runs": {
        "unrun": (3, lambda c: (c.randint(0, 9),)),
        "untemplate": (2, lambda c: (c.choice([5.0, 60.0, 900.0]),)),
        "doomed": (2, lambda c: (c.choice([60.0, 300.0]),)),
        "unmeasured": (2, lambda c: (c.choice([30.0, 300.0]),)),
    },
    "webhook": {
        "gatekeeper": (1, lambda c: (c.choice(("closed", "closed", "down", "slow")), c.choice([20.0, 100.0, 900.0]))),
        "answer": (1, lambda _: ("resume",)),
    },
    "autoscaler": {"unscaled": (1, lambda _: ()), "busy": (3, lambda c: (c.choice([1, 4]), c.choice([30.0, 200.0])))},
}
