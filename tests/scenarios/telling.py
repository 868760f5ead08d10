"""A scenario: a timeline of what people and the world do, told as an operator would read it."""

import logging
from pathlib import Path

import yaml
from simulated.measuring import Measuring
from simulated.story import Happening, Story
from simulated.timeline import Timeline
from simulated.transcript import Transcript
from simulated.world import World

SCENARIOS = sorted(Path(__file__).parent.glob("*.yaml"))


class Mate(Transcript):
    """Another rollout, told of in the same transcript: its status and its route, under its name."""

    def __init__(self, timeline: Timeline, name: str, into: Transcript) -> None:
        super().__init__(timeline, name)
        self._into = into

    def say(self, who: str, what: str) -> None:
        name = self._rollout if who == "rollout" else f"{self._rollout} {who}"
        self._into.say(name, self._named(what))


def tell(path: Path) -> str:
    """Play a scenario and return its transcript."""
    raw = yaml.safe_load(path.read_text())
    story = Story(raw.get("seed", 1), (), silent=raw.get("silent", False), rate=float(raw.get("rate", 40)))
    world = World(story)
    transcript = Transcript(world.timeline, world.rollout)
    world.say = transcript.say
    world.api.watchers.append(transcript.happened)
    for name in raw.get("mates", ()):
        mate = Mate(world.timeline, name, transcript)
        world.api.watchers.append(mate.happened)
    measuring = Measuring(world.timeline, world.api, lambda _: None, transcript.say)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with world.on_simulated_time():
            world.start_controller()
            if "strategy" in raw:
                world.people.create(raw.get("model", "good-0"), strategy=raw["strategy"], **raw.get("spec", {}))
            for at, kind, *values in raw["timeline"]:
                world.timeline.run_until(at)
                transcript.say("----", f"{kind} {' '.join(map(str, values))}".rstrip())
                if kind in ("template", "measured"):
                    getattr(measuring, kind)(*values)
                else:
                    world.happen(Happening(0.0, kind, tuple(values)))
            world.timeline.run_until(raw["until"])
    finally:
        logging.disable(before)
    served = sum(count.requests for row in world.users.ledger.live for count in row.values())
    said = raw["story"].strip()
    return f"{said}\n\n{transcript.text()}\n{served} requests, {world.users.lost} of them answered by nobody\n"
