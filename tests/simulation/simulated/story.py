"""Stories: what people and the world do, as data, drawn from a seed or written down."""

import random
from dataclasses import dataclass
from typing import Any

VERBS = (
    "promote", "promote-full", "skip", "pause", "resume", "abort", "retry", "rollback", "rollback", "restart", "pass",
    "fail",
)  # fmt: skip
KINDS = (
    "seldonrollouts.rollouts.seldon.io",
    "seldondeployments.machinelearning.seldon.io",
    "deployments.apps",
    "virtualservices.networking.istio.io",
    "controllerrevisions.apps",
    "pods",
)
REFUSALS = ("admission webhook policy.example denied the request: no", "exceeded quota: compute")
_HEADER = {"setHeaderRoute": {"name": "inside", "match": [{"headers": {"x-team": {"exact": "ml"}}}]}}
_CANARIES: tuple[list[dict[str, Any]], ...] = (
    [{"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}],
    [{"setWeight": 5}, {"pause": {"duration": "30s"}}, {"setWeight": 25}, {"pause": {"duration": "1m"}},
     {"setWeight": 60}],
    [{"setMirror": {"percentage": 100}}, {"pause": {"duration": "20s"}}, {"setWeight": 10}, {"analysis": {}}],
    [{"setWeight": 10}, {"pause": {}}, {"setWeight": 100}],
    [{"setWeight": 50}],
    [{"setWeight": 0.5}, {"analysis": {"maxDuration": "1m"}}, {"setWeight": 12.25}, {"setMirror": {"percentage": 0.5}}],
    [{"analysis": {"minDuration": "30s", "maxDuration": "2m"}}, {"setWeight": 30}, {"analysis": {"maxDuration": "3m"}}],
    [{"setScale": {"matchWeight": True}}, {"setWeight": 25}, {"pause": {"duration": "40s"}}, {"setWeight": 75}],
    [{"setScale": {"replicas": 1}}, _HEADER, {"pause": {"duration": "20s"}}, {"setHeaderRoute": {"name": "inside"}},
     {"setScale": {"auto": True}}, {"setWeight": 40}],
)  # fmt: skip
STRATEGIES: tuple[dict[str, Any], ...] = (
    *({"canary": {"steps": steps}} for steps in _CANARIES),
    {"blueGreen": {}},
    {"blueGreen": {"previewReplicas": 1, "previewHeader": {}, "autoPromotionSeconds": 20, "postPromotionAnalysis": {}}},
    {"blueGreen": {"autoPromotionEnabled": False}},
    {"shadow": {"untilVerdict": {"maxDuration": "3m"}}},
    {"shadow": {"duration": "1m", "then": {"steps": [{"setWeight": 30}]}}},
    {"canary": {"dynamicStableScale": True, "steps": [
        {"setWeight": 50}, {"pause": {"duration": "40s"}}, {"setWeight": 80}, {"pause": {"duration": "1m"}},
        {"setWeight": 30}, {"analysis": {"maxDuration": "2m"}}]}},
)  # fmt: skip
"""Ways to release; a canary's are before the others."""
BAKES: dict[int, dict[str, Any]] = {
    1: {"duration": "1m"},
    5: {"duration": "2m", "holdback": 20},
    13: {"duration": "1m"},
}
"""Those that bake the canary at the end."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that somebody or the world does.

    Args:
        after: seconds since the one before.
        kind: a method of the world, without its prefix `do_`.
        values: its arguments.
    """

    after: float
    kind: str
    values: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.after:.1f} s later: {self.kind} {' '.join(map(str, self.values))}".rstrip()


@dataclass(frozen=True, slots=True)
class Story:
    """A world and what happens in it."""

    seed: int
    happenings: tuple[Happening, ...]
    silent: bool = False
    """The mesh writes no status."""
    rate: float = 40.0
    """Requests a second."""
    strategy: int = 0

    def __str__(self) -> str:
        tells = "silent" if self.silent else "tells"
        head = f"seed {self.seed}, mesh {tells}, {self.rate:g} requests a second, strategy {self.strategy}"
        return "\n".join([head, *map(str, self.happenings)])


def draw(seed: int, length: int = 14) -> Story:
    """Draw a story."""
    chance = random.Random(f"{seed}/story")
    happenings = []
    for _ in range(chance.randint(3, 3 * length if seed % 5 == 4 else length)):
        gap = chance.choice([0.01, 0.5, 3.0, 10.0, 40.0, 120.0]) * (0.5 + chance.random())
        kind = chance.choices(list(_DRAWS), weights=[weight for weight, _ in _DRAWS.values()])[0]
        happenings.append(Happening(round(gap, 3), kind, _DRAWS[kind][1](chance)))
    return Story(
        seed,
        tuple(happenings),
        silent=chance.random() < 0.3,
        rate=chance.choice([40.0, 40.0, 40.0, 8.0, 400.0, 0.0]),
        strategy=chance.randrange(len(STRATEGIES)),
    )


def _model(chance: random.Random) -> str:
    return f"{chance.choice(['good', 'good', 'good', 'bad', 'poor', 'stuck'])}-{chance.randint(1, 3)}"


_DRAWS: dict[str, tuple[int, Any]] = {
    "edit": (10, lambda c: (_model(c),)),
    "strategy": (2, lambda c: (c.randrange(len(STRATEGIES)),)),
    "scale": (2, lambda c: (c.randint(1, 4),)),
    "invalid": (1, lambda c: ()),
    "verb": (7, lambda c: (c.choice(VERBS), "ada", "", c.randint(1, 4))),
    "storm": (3, lambda c: (c.choice([0.1, 0.4, 0.9]), c.choice([5.0, 60.0]))),
    "slow": (2, lambda c: (c.choice([0.5, 10.0]), c.choice([10.0, 60.0]))),
    "forbid": (2, lambda c: (c.choice(KINDS[1:5]), c.choice(REFUSALS), c.choice([10.0, 100.0, 900.0]))),
    "crash": (5, lambda c: (c.randint(1, 6), c.random() < 0.5)),
    "second": (3, lambda c: (c.choice([2.0, 20.0, 90.0]), c.choice([0.0, 0.0, 5.0, -5.0]))),
    "cut": (3, lambda c: (c.choice(KINDS), c.choice([1.0, 30.0, 120.0]), c.random() < 0.5)),
    "replay": (2, lambda c: (c.choice(KINDS),)),
    "deaf": (2, lambda c: (c.choice([1.0, 20.0]), c.choice([10.0, 60.0]))),
    "podcrash": (4, lambda c: (c.randint(0, 9), c.choice([3.0, 60.0, 900.0]))),
    "outage": (1, lambda c: (c.randint(0, 3), c.choice([20.0, 200.0]))),
    "evict": (3, lambda c: (c.randint(0, 9),)),
    "quota": (2, lambda c: (c.choice([10.0, 200.0, 900.0]),)),
    "sluggish": (2, lambda c: (c.choice([2.0, 30.0]), c.choice([30.0, 200.0]))),
    "refuse": (2, lambda c: (c.choice([5.0, 100.0, 900.0]),)),
    "prometheus": (4, lambda c: (c.choice(["down", "empty", "nan", "late"]), c.choice([20.0, 200.0]))),
    "jump": (1, lambda c: (c.choice([30.0, -30.0, 3600.0]),)),
    "drift": (3, lambda c: (c.choice(["weights", "route", "child", "history", "deployment", "service", "status"]),)),
}
