"""Mischief: what the world does to controllers, pods, the mesh and Prometheus. Each method is a kind of happening."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulated.process import Process
from simulated.workloads import START_TIME

if TYPE_CHECKING:
    from simulated.world import World


class Mischief:
    """Troubles that begin, and mostly end after a while."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def _for(self, seconds: float, then: Callable[[], object]) -> None:
        """Let a trouble end after a while."""
        self._world.noisy_until = max(self._world.noisy_until, self._world.timeline.now + seconds)
        self._world.timeline.after(seconds, then)

    def do_storm(self, strength: float, seconds: float) -> None:
        self._world.faults.storm(strength)
        self._for(seconds, lambda: self._world.faults.storm(0.0))

    def do_slow(self, more: float, seconds: float) -> None:
        self._world.faults.slow = more
        self._for(seconds, lambda: setattr(self._world.faults, "slow", 0.0))

    def do_deaf(self, more: float, seconds: float) -> None:
        self._world.faults.deaf = more
        self._for(seconds, lambda: setattr(self._world.faults, "deaf", 0.0))

    def do_crash(self, writes: int, after: bool) -> None:
        self._world.faults.crash_in.append((writes, after))

    def do_second(self, seconds: float, skew: float) -> None:
        """A second controller begins to lead, and the first does not know for a while that it does not."""
        old = self._world.processes[-1] if self._world.processes else None
        self._world.start_controller(skew)
        if old is not None:
            self._for(seconds, lambda: self._retire(old))

    def _retire(self, process: Process) -> None:
        process.stop()
        self._world.processes = [each for each in self._world.processes if each.alive]
        if not self._world.processes:
            self._world.start_controller()

    def do_cut(self, collection: str, seconds: float, gone: bool) -> None:
        for process in self._world.processes:
            process.cut_watch(collection, seconds, gone=gone)
        self._for(seconds, lambda: None)

    def do_replay(self, collection: str, shuffled: bool = False) -> None:
        """Old news again, in their order or not."""
        for process in self._world.processes:
            process.replay(collection, shuffled=shuffled)

    def do_slowpods(self, longest: float, seconds: float) -> None:
        """Pods take long to become ready."""
        self._world.workloads.start_time = (0.5, longest)
        self._for(seconds, lambda: setattr(self._world.workloads, "start_time", START_TIME))

    def do_forbid(self, collection: str, said: str, seconds: float) -> None:
        """The server refuses all writes of a kind, but those of statuses."""
        self._world.faults.refused[collection] = said
        self._for(seconds, lambda: self._allow(collection))

    def _allow(self, collection: str) -> None:
        if self._world.faults.refused.pop(collection, None) is not None:
            self._world.allowed_again()

    def do_podcrash(self, index: int, seconds: float) -> None:
        pods = self._world.workloads.some_pods()
        if pods:
            name, pod = pods[index % len(pods)]
            self._world.trouble(name)
            self._world.workloads.crash(name, pod, seconds)

    def do_outage(self, index: int, seconds: float) -> None:
        """All pods of one revision crash."""
        pods = self._world.workloads.some_pods()
        names = sorted({name for name, _ in pods})
        for name, pod in pods:
            if name == names[index % len(names)]:
                self._world.trouble(name)
                self._world.workloads.crash(name, pod, seconds)

    def do_evict(self, index: int) -> None:
        pods = self._world.workloads.some_pods()
        if pods:
            self._world.trouble(pods[index % len(pods)][0])
            self._world.workloads.evict(*pods[index % len(pods)])

    def do_quota(self, seconds: float) -> None:
        self._world.workloads.set_quota(True)
        self._for(seconds, self._quota_over)

    def _quota_over(self) -> None:
        self._world.workloads.set_quota(False)
        self._world.allowed_again()

    def do_sluggish(self, delay: float, seconds: float) -> None:
        """A mesh that takes long; a silent one stays within what Istio promises."""
        self._world.mesh.delay = min(delay, 3.0) if self._world.mesh.silent else delay
        self._for(seconds, lambda: setattr(self._world.mesh, "delay", 0.3))

    def do_boast(self, ahead: float, seconds: float) -> None:
        """A mesh that says it has a route before it has: some gateways are behind the others."""
        mesh = self._world.mesh
        mesh.ahead, mesh.boasted = ahead, max(mesh.boasted, ahead)
        self._for(seconds, lambda: setattr(self._world.mesh, "ahead", 0.0))

    def do_refuse(self, seconds: float) -> None:
        if not self._world.mesh.silent:
            self._world.mesh.set_refusing(True)
            self._for(seconds, lambda: self._world.mesh.set_refusing(False))

    def do_prometheus(self, mode: str, seconds: float) -> None:
        self._world.prometheus.mode = mode
        self._for(seconds, lambda: setattr(self._world.prometheus, "mode", "up"))

    def do_jump(self, seconds: float) -> None:
        self._world.jumped = True
        for process in self._world.processes:
            process.skew += seconds
