"""A pod's status as Kubernetes words it: container states, conditions, phase. Pure: no process is looked at here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcluster.objects import Object
from localcluster.times import stamp

CRASH_LOOP = "CrashLoopBackOff"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running; why."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Running since."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """Ended: how, when, and the last lines that it wrote."""

    code: int
    reason: str
    message: str
    since: datetime
    until: datetime


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known of one container."""

    name: str
    image: str
    state: State = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of a pod: its init containers, its containers, and what stands in the way of all of them."""

    init: Sequence[View]
    main: Sequence[View]
    address: str
    since: datetime
    policy: str = "Always"
    ending: bool = False
    """Its deletion was asked for: what has ended is not started again."""
    obstacle: Waiting | None = None


def ended(code: int, message: str, since: datetime, until: datetime) -> Terminated:
    """How a container ended, from its exit code."""
    reason = "Completed" if code == 0 else "Error"
    return Terminated(code=code, reason=reason, message=message if code else "", since=since, until=until)


def pod_status(pod: Object, sight: Sight, now: datetime) -> dict[str, Any]:
    """The whole status. Conditions of types that are not a node's are kept as they are."""
    sidecars = {
        entry["name"] for entry in pod["spec"].get("initContainers") or () if entry.get("restartPolicy") == "Always"
    }
    initialized = all(_init_done(view, view.name in sidecars) for view in sight.init)
    status: dict[str, Any] = {
        "phase": phase(sight, initialized=initialized),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": stamp(sight.since),
        "containerStatuses": [_container(view) for view in sight.main],
    }
    if sight.address:
        status |= {"podIP": sight.address, "podIPs": [{"ip": sight.address}]}
    if sight.init:
        status["initContainerStatuses"] = [_container(view) for view in sight.init]
    status["conditions"] = _conditions(pod, sight, status["phase"], initialized=initialized, now=now)
    return status


def phase(sight: Sight, *, initialized: bool) -> str:
    """Pending until all containers ran once, Running while any runs or will again, else Succeeded or Failed."""
    if sight.policy == "Never" and any(isinstance(view.state, Terminated) and view.state.code for view in sight.init):
        return "Failed"
    if not initialized or sight.obstacle is not None:
        return "Pending"
    states = [view.state for view in sight.main]
    may_end = sight.ending or sight.policy != "Always"
    if may_end and all(isinstance(state, Terminated) for state in states):
        return "Failed" if any(isinstance(state, Terminated) and state.code for state in states) else "Succeeded"
    never_ran = [view for view in sight.main if isinstance(view.state, Waiting) and view.last is None]
    return "Pending" if never_ran else "Running"


def _init_done(view: View, sidecar: bool) -> bool:
    if sidecar:
        return view.started
    return isinstance(view.state, Terminated) and view.state.code == 0


def _container(view: View) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": view.name,
        "image": view.image,
        "imageID": "",
        "ready": view.ready,
        "started": view.started,
        "restartCount": view.restarts,
        "state": _state(view.state),
        "lastState": _state(view.last) if view.last else {},
    }
    return status | ({"containerID": view.identity} if view.identity else {})


def _state(state: State) -> dict[str, Any]:
    match state:
        case Waiting(reason=reason, message=message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(since=since):
            return {"running": {"startedAt": stamp(since)}}
        case Terminated():
            told: dict[str, Any] = {"exitCode": state.code, "reason": state.reason}
            told |= {"message": state.message} if state.message else {}
            return {"terminated": told | {"startedAt": stamp(state.since), "finishedAt": stamp(state.until)}}


def _conditions(pod: Object, sight: Sight, phase_now: str, *, initialized: bool, now: datetime) -> list[dict[str, Any]]:
    known = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or ()}
    over = phase_now in ("Succeeded", "Failed")
    unready = [view.name for view in sight.main if not view.ready]
    wanted = [
        _condition("PodScheduled", True),
        _condition("Initialized", initialized, "ContainersNotInitialized", _names("incomplete", sight.init)),
    ]
    if over:
        reason = "PodCompleted" if phase_now == "Succeeded" else "PodFailed"
        wanted += [_condition("Ready", False, reason), _condition("ContainersReady", False, reason)]
    else:
        message = f"containers with unready status: [{' '.join(unready)}]"
        settled = not unready and sight.obstacle is None
        gates = _closed_gates(pod, known)
        if settled and gates:
            closed = f"readiness gates are not True: {', '.join(gates)}"
            wanted.append(_condition("Ready", False, "ReadinessGatesNotReady", closed))
        else:
            wanted.append(_condition("Ready", settled, "ContainersNotReady", message))
        wanted.append(_condition("ContainersReady", settled, "ContainersNotReady", message))
    ours = {entry["type"] for entry in wanted}
    foreign = [entry for kind, entry in known.items() if kind not in ours]
    return [_dated(entry, known.get(entry["type"]), now) for entry in wanted] + foreign


def _names(word: str, views: Sequence[View]) -> str:
    waiting = [view.name for view in views if not _init_done(view, sidecar=False)]
    return f"containers with {word} status: [{' '.join(waiting)}]"


def _closed_gates(pod: Object, known: Mapping[str, Any]) -> list[str]:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    return [gate for gate in gates if known.get(gate, {}).get("status") != "True"]


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    told = {"type": kind, "status": "True" if holds else "False"}
    if not holds:
        told |= {"reason": reason} | ({"message": message} if message else {})
    return told


def _dated(wanted: dict[str, Any], known: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    unchanged = known is not None and known.get("status") == wanted["status"]
    since = known["lastTransitionTime"] if known is not None and unchanged else stamp(now)
    return wanted | {"lastTransitionTime": since}
