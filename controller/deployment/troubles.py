"""Why a Deployment's pods are not ready, in the words of the pods and their containers. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from controller.deployment.observed import Object, Observed, is_ending, is_ready

_ON_THE_WAY = frozenset({"", "ContainerCreating", "PodInitializing"})
MAX_LENGTH = 400


def trouble(observed: Observed, deployment: str) -> str:
    """Return the first trouble of a Deployment's pods, by name of pod and container; empty when there is none."""
    for pod in sorted(observed.pods_of(deployment), key=lambda each: str(each["metadata"]["name"])):
        if is_ending(pod) or is_ready(pod):
            continue
        for text in _of_pod(pod):
            return f"pod {pod['metadata']['name']}: {text}"[:MAX_LENGTH]
    return ""


def _of_pod(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield _joined(condition.get("reason"), condition.get("message"))
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        text = _of_container(each)
        if text:
            yield f"container {each.get('name')}: {text}"
    if status.get("phase") == "Failed":
        yield _joined(status.get("reason"), status.get("message"))


def _of_container(status: Mapping[str, Any]) -> str:
    state = status.get("state") or {}
    last = (status.get("lastState") or {}).get("terminated") or {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting is not None and (waiting.get("reason") or "") not in _ON_THE_WAY:
        return _joined(waiting.get("reason"), _ending(last) if last else waiting.get("message"))
    if ended is not None and ended.get("exitCode"):
        return _ending(ended)
    if last.get("exitCode") and not status.get("ready"):
        return _joined("restarted", _ending(last))
    return ""


def _ending(ended: Mapping[str, Any]) -> str:
    said = str(ended.get("message") or "").strip().splitlines()
    return _joined(ended.get("reason"), f"exit code {ended.get('exitCode')}", said[-1] if said else "")


def _joined(*parts: object) -> str:
    return ": ".join(str(part) for part in parts if part)
