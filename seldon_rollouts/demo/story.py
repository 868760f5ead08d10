"""Plays the scenes: applies each revision, watches what becomes of it, and keeps the account."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.api.rollout import HistoryEntry, RolloutStatus
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import NotFoundError, UnavailableError
from seldon_rollouts.demo import scenes
from seldon_rollouts.demo.models import Trained
from seldon_rollouts.demo.narrate import Narrator
from seldon_rollouts.demo.report import Act
from seldon_rollouts.demo.scenes import Scene
from seldon_rollouts.demo.traffic import Users

SCENE_SECONDS = 180
LOOK_SECONDS = 0.4
_STYLES = {"Promoted": "bold green", "RolledBack": "bold red", "Paused": "yellow"}


@dataclass
class Story:
    """One telling of the demo.

    Args:
        client: the cluster.
        trained: the models.
        users: who asks; started by the caller once the first revision serves.
        narrator: how it is told.
        kill_controller: ends the controller with SIGKILL; it is started again by the local cluster.
    """

    client: Client
    trained: Trained
    users: Users
    narrator: Narrator
    kill_controller: Callable[[], object]
    acts: list[Act] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    async def play(self, scene: Scene) -> Act:
        """Play one scene to its end, or to its time limit."""
        self.narrator.say(f"revision {scene.number}: {scene.title}", "bold")
        act = Act(scene=scene)
        self.acts.append(act)
        started = time.monotonic()
        await self.client.apply(resources.SELDON_ROLLOUT, scenes.rollout(self.trained.uris[scene.model]))
        while time.monotonic() - started < SCENE_SECONDS:
            status = await self._look(act)
            if status is not None:
                await self._interfere(act, status)
                if self._ended(act, status):
                    act.seconds = time.monotonic() - started
                    self.narrator.scene_ends(status, self.numbers, self.users.tallies)
                    return act
            await asyncio.sleep(LOOK_SECONDS)
        act.problems.append(
            f"revision {scene.number}: no end within {SCENE_SECONDS} s; last: {self._last or 'no status'}"
        )
        return act

    async def _look(self, act: Act) -> RolloutStatus | None:
        try:
            found = await self.client.get(resources.SELDON_ROLLOUT, scenes.NAMESPACE, scenes.NAME)
        except (NotFoundError, UnavailableError):
            return None
        if (found.get("status") or {}).get("observedGeneration") != found["metadata"]["generation"]:
            return None
        status = RolloutStatus.model_validate(found["status"])
        self._last = status.message
        for entry in status.history:
            self._tell(entry)
        if not act.hash:
            current = status.canary_revision or status.stable_revision
            act.hash = current.hash if current and current.number == act.scene.number else ""
            if act.hash:
                self.numbers[act.hash] = act.scene.number
        self.narrator.update(status, self.numbers, self.users.tallies)
        return status

    def _tell(self, entry: HistoryEntry) -> None:
        key = (entry.at.isoformat(), entry.type, entry.message)
        if key not in self._told:
            self._told.add(key)
            self.narrator.say(f"  {entry.type}: {entry.message}", _STYLES.get(entry.type, ""))

    async def _interfere(self, act: Act, status: RolloutStatus) -> None:
        at = act.scene.kill_controller_at_step
        under_way = status.canary_revision is not None and status.canary_revision.hash == act.hash
        if act.controller_killed:
            if act.step_after_kill is None:
                act.step_after_kill = await self._step_when_back(status)
        elif at is not None and under_way and status.current_step_index >= at:
            act.step_before_kill = status.current_step_index
            await asyncio.to_thread(self.kill_controller)
            act.controller_killed = True
            self._seen_before_kill = status.analysis.updated_at
            self.narrator.say(f"  the controller is killed (SIGKILL) at step {at + 1}", "magenta")

    _seen_before_kill: object = None
    _last: str = ""

    async def _step_when_back(self, status: RolloutStatus) -> int | None:
        """Return where the new controller goes on, once it has written a status of its own."""
        if status.analysis.updated_at == self._seen_before_kill:
            return None
        self.narrator.say(f"  the controller is back and goes on at step {status.current_step_index + 1}", "magenta")
        return status.current_step_index

    def _ended(self, act: Act, status: RolloutStatus) -> bool:
        stable = status.stable_revision
        if act.hash and stable and stable.hash == act.hash and status.phase == "Healthy":
            act.outcome = "Promoted"
            return True
        rejected = next((entry for entry in status.rejected if entry.hash == act.hash), None)
        if rejected is not None and status.phase == "Degraded":
            act.outcome = "RolledBack"
            act.reason = rejected.message
            act.metric = rejected.reason.metric if rejected.reason else ""
            return True
        return False
