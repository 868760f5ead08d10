"""What an operator would read of a story: the time, who, what; the rollout's phase, weights and message."""

import re
from typing import Any

from controller.kube.resources import SELDON_ROLLOUT
from localcluster.apiserver.history import Event
from simulated.mesh import ROUTES
from simulated.timeline import Timeline

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Transcript:
    """Lines, in the order of time.

    Args:
        timeline: the time.
        rollout: whose status and route are told.
    """

    def __init__(self, timeline: Timeline, rollout: str) -> None:
        self._timeline, self._rollout = timeline, rollout
        self.lines: list[str] = []
        self._state: tuple[Any, ...] = ()
        self._route = ""
        self._names: dict[str, str] = {}

    def say(self, who: str, what: str) -> None:
        """Add a line."""
        minutes, seconds = divmod(self._timeline.now, 60)
        self.lines.append(f"{int(minutes):3d}:{seconds:04.1f}  {who:<11} {self._named(what)}".rstrip())

    def happened(self, _: str, event: Event) -> None:
        """Tell of a change of the rollout's status or of its route."""
        if event.key[1] != self._rollout:
            return
        if event.collection == SELDON_ROLLOUT.name:
            self._status(event.entry.object.get("status") or {})
        elif event.collection == ROUTES:
            self._told_route(event)

    def _status(self, status: dict[str, Any]) -> None:
        for role in ("stableRevision", "canaryRevision"):
            if status.get(role):
                self._names[status[role]["hash"]] = f"r{status[role]['number']}"
        blocked = status.get("blockedOn") or {}
        message = _calm(status.get("message", ""))
        state = (status.get("phase"), blocked.get("kind", ""), message)
        if status and state != self._state:
            self._state = state
            on = f" [{state[1]}]" if state[1] else ""
            self.say("rollout", f"{state[0]}{on}: {message}")
        intent = status.get("lastIntent")
        if intent and intent.get("id") != getattr(self, "_intent", None):
            self._intent = intent.get("id")
            said = f": {intent['message']}" if intent.get("message") else ""
            self.say("answer", f"{intent['verb']} by {intent.get('by') or 'nobody'} is {intent.get('outcome')}{said}")

    def _told_route(self, event: Event) -> None:
        route = "deleted" if event.type == "DELETED" else self._shares(event.entry.object)
        if route != self._route:
            self._route = route
            self.say("route", route)

    def _shares(self, obj: dict[str, Any]) -> str:
        for index, http in enumerate(obj["spec"]["http"]):
            if http.get("name") == "rest" or (index == 0 and "name" not in http):
                parts = [f"{self._who(part)} {part.get('weight', 100)} %" for part in http["route"]]
                parts += [
                    f"{self._who(each)} gets {each['percentage']['value']:g} % copied"
                    for each in http.get("mirrors") or ()
                ]
                return ", ".join(parts)
        return "no route"

    def _who(self, part: dict[str, Any]) -> str:
        return part["destination"]["host"].split(".")[0].removesuffix("-default").removeprefix(f"{self._rollout}-")

    def _named(self, text: str) -> str:
        for digest, name in self._names.items():
            text = text.replace(f"{self._rollout}-{digest}", name).replace(digest, name)
        return text

    def text(self) -> str:
        """All lines; revisions by their numbers."""
        return "\n".join(self._named(line) for line in self.lines) + "\n"


def _calm(message: str) -> str:
    """A message without the figures that change with every measurement."""
    return re.sub(r"\d+(\.\d+)? %( of \d+)?", "... %", _INSTANT.sub("...", message))
