"""Stories: what people and the world do, as data, drawn from a seed or written down."""

import random
from dataclasses import dataclass, replace
from typing import Any

from simulated import also
from simulated.drift import WHAT
from simulated.shop import CHANGES, ROUTINGS
from simulated.ways import DRAWN

VERBS = (
    "promote", "promote-full", "skip", "pause", "resume", "abort", "retry", "rollback", "rollback", "restart", "pass",
    "fail", "approve",
)  # fmt: skip
REFUSALS = ("admission webhook policy.example denied the request: no", "exceeded quota: compute")
KINDS = (
    "seldonrollouts.rollouts.seldon.io",
    "seldondeployments.machinelearning.seldon.io",
    "deployments.apps",
    "virtualservices.networking.istio.io",
    "controllerrevisions.apps",
    "pods",
)


GATED = (15, 15)
"""Ways with a gate, drawn more often: few verbs are as rare as an approval."""
ALONE = (11, 12)
"""A way that promotes nothing, which is refused to a group; and what it has instead."""
PHASES = (
    "Pending",
    "Promoting",
    "Promoting",
    "RollingBack",
    "RollingBack",
    "Shadowed",
    "Paused",
    "Invalid",
    "Progressing",
)


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
    early: bool = False
    """It begins while the first revision starts."""
    strategy: int = 0
    """Its way to release, by its place among them."""
    upstream: bool = False
    """Seldon Core v1's operator runs instead of ours."""
    routing: str = ""
    """Whose VirtualService splits the traffic at first, and whether users stay: one of `ROUTINGS`."""
    adopts: bool = False
    """It begins with a SeldonDeployment that serves and is taken over."""
    depends: bool = False
    """It depends on another rollout."""
    also: tuple[str, ...] = ()
    """Parts that it has beside, some of `also.PARTS`."""
    policy: str = ""
    """What becomes of it when it is deleted, if anything is said of that: one of `also.POLICIES`."""

    def __str__(self) -> str:
        tells = "silent" if self.silent else "tells"
        whose = ", upstream's operator" if self.upstream else ""
        more = "".join(
            f", {what}"
            for what in (self.routing, self.adopts and "adopts", self.depends and "depends", *self.also, self.policy)
            if what
        )
        head = f"seed {self.seed}, mesh {tells}, {self.rate:g} requests a second, strategy {self.strategy}{whose}{more}"
        return "\n".join([head, *map(str, self.happenings)])


def draw(seed: int, length: int = 14, *, parts: bool = True) -> Story:
    """Draw a story, with parts that three of seven have beside."""
    chance = random.Random(f"{seed}/story")
    happenings = []
    for _ in range(chance.randint(3, 3 * length if seed % 5 == 4 else length)):
        gap = chance.choice([0.01, 0.5, 3.0, 10.0, 40.0, 120.0]) * (0.5 + chance.random())
        kind = chance.choices(list(_DRAWS), weights=[weight for weight, _ in _DRAWS.values()])[0]
        happenings.append(Happening(round(gap, 3), kind, _DRAWS[kind][1](chance)))
        if kind == "verb":  # people who ask once ask again: cheap, and each phase hears each verb
            happenings += _more_verbs(chance)
    story = Story(
        seed,
        tuple(happenings),
        silent=chance.random() < 0.3,
        rate=chance.choice([40.0, 40.0, 40.0, 8.0, 400.0, 0.0]),
        strategy=chance.choice([*range(DRAWN), *GATED]),
        early=chance.random() < 0.2,
    )
    return _with_also(_with_more(story)) if parts else _with_more(story)


def _with_more(story: Story) -> Story:
    """Draw what two stories of five have beside: routing, adoption, another rollout that is waited for."""
    chance = random.Random(f"{story.seed}/more")
    kind = chance.choices(("", "routing", "adopts", "depends"), weights=(60, 24, 8, 8))[0]
    if not kind:
        return story
    routing = chance.choice(list(ROUTINGS)[kind == "routing" :])
    story = replace(story, routing=routing, adopts=kind == "adopts", depends=kind == "depends")
    if story.adopts:
        story = replace(story, routing=story.routing.removeprefix("own").strip(), early=False)
    happenings = list(story.happenings)
    for _ in range(chance.randint(2, 6)):
        what = chance.choices(list(_MORE), weights=[weight for weight, _ in _MORE.values()])[0]
        if what == "lookup" and not story.depends:
            continue
        if what == "shop" and "own" not in story.routing:
            what = chance.choice(("routing", "verb"))
        gap = round(chance.choice([0.01, 3.0, 20.0, 60.0]) * (0.5 + chance.random()), 3)
        happenings.insert(
            chance.randint(0, len(happenings)), Happening(gap, what, (_MORE.get(what) or _DRAWS[what])[1](chance))
        )
    return replace(story, happenings=tuple(happenings))


def _with_also(story: Story) -> Story:
    """Draw what three of seven stories have beside: groups, runs, webhooks, autoscalers, matches, an end."""
    chance = random.Random(f"{story.seed}/also")
    found = also.parts(story.seed, chance)
    if not found:
        return story
    happenings = list(story.happenings)
    way = also.way(found, chance) or (ALONE[1] if "group" in found and story.strategy == ALONE[0] else None)
    for each in also.happenings(found, chance):
        happenings.insert(chance.randint(0, len(happenings)), Happening(*each))
    policy = also.policy(story.seed, own="own" in story.routing) if "deletion" in found else ""
    at = chance.randint(len(happenings) // 2, len(happenings))
    if policy:
        happenings[at:at] = [Happening(*each) for each in also.ending(chance)]
    story = replace(story, also=found, policy=policy, happenings=tuple(happenings))
    return story if way is None else replace(story, strategy=way)


_MORE: dict[str, tuple[int, Any]] = {
    "routing": (2, lambda c: (c.choice(list(ROUTINGS)),)),
    "shop": (9, lambda c: (c.choice(CHANGES),)),
    "lookup": (6, lambda c: (_model(c), c.choice(("", "good-1", "good-2", "bad-1")))),
}


def _more_verbs(chance: random.Random) -> list[Happening]:
    gaps = [
        round(chance.choice([0.3, 2.0, 6.0, 15.0]) * (0.5 + chance.random()), 3) for _ in range(chance.randint(0, 5))
    ]
    return [Happening(gap, "verb", _DRAWS["verb"][1](chance)) for gap in gaps]


def _ambush(chance: random.Random) -> tuple[Any, ...]:
    """Something that comes at the worst moment: (phase, seconds after it began, what)."""
    what = chance.choice(("edit", "back", "again", "invalid", "strategy", "verb", "verb", "verb", "verb"))
    return chance.choice(PHASES), chance.choice((0.02, 0.3)), what, *_DRAWS[what][1](chance)


def _model(chance: random.Random) -> str:
    return f"{chance.choice(['good', 'good', 'good', 'bad', 'poor', 'stuck'])}-{chance.randint(1, 3)}"


_DRAWS: dict[str, tuple[int, Any]] = {
    "edit": (14, lambda c: (_model(c),)),
    "back": (3, lambda c: ()),
    "again": (2, lambda c: ()),
    "strategy": (2, lambda c: (c.randrange(DRAWN),)),
    "scale": (2, lambda c: (c.randint(1, 4),)),
    "invalid": (1, lambda c: ()),
    "verb": (12, lambda c: (c.choice(VERBS), "ada", "", c.randint(1, 4))),
    "answer": (10, lambda c: (c.choice(("resume", "resume", "promote", "pass", "fail", "retry")),)),
    "ambush": (14, _ambush),
    "storm": (6, lambda c: (c.choice([0.1, 0.4, 0.9]), c.choice([5.0, 60.0]))),
    "slow": (2, lambda c: (c.choice([0.5, 10.0]), c.choice([10.0, 60.0]))),
    "crash": (5, lambda c: (c.randint(1, 6), c.random() < 0.5)),
    "second": (3, lambda c: (c.choice([2.0, 10.0, 20.0]), c.choice([0.0, 0.0, 5.0, -5.0]))),
    "cut": (5, lambda c: (c.choice(KINDS), c.choice([1.0, 30.0, 120.0]), c.random() < 0.5)),
    "replay": (3, lambda c: (c.choice(KINDS), c.random() < 0.5)),
    "slowpods": (2, lambda c: (c.choice([60.0, 300.0]), c.choice([60.0, 300.0]))),
    "deaf": (2, lambda c: (c.choice([1.0, 20.0]), c.choice([10.0, 60.0]))),
    "forbid": (2, lambda c: (c.choice(KINDS[1:5]), c.choice(REFUSALS), c.choice([10.0, 100.0, 900.0]))),
    "podcrash": (4, lambda c: (c.randint(0, 9), c.choice([3.0, 60.0, 900.0]))),
    "outage": (1, lambda c: (c.randint(0, 3), c.choice([20.0, 200.0]))),
    "evict": (3, lambda c: (c.randint(0, 9),)),
    "quota": (2, lambda c: (c.choice([10.0, 200.0, 900.0]),)),
    "sluggish": (2, lambda c: (c.choice([2.0, 30.0]), c.choice([30.0, 200.0]))),
    "boast": (2, lambda c: (c.choice([4.0, 12.0, 20.0]), c.choice([60.0, 600.0]))),
    "refuse": (2, lambda c: (c.choice([5.0, 100.0, 900.0]),)),
    "prometheus": (4, lambda c: (c.choice(["down", "empty", "nan", "late"]), c.choice([20.0, 200.0]))),
    "jump": (1, lambda c: (c.choice([30.0, -30.0, 3600.0]),)),
    "drift": (10, lambda c: (c.choice(WHAT),)),
}
