"""What is no longer wanted: marked when its replacement serves, deleted when its connections have drained. Pure.

What is old is found by its owner, never from the status: a crash after any write leaks nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.api.meta import format_instant
from controller.deployment.actions import Action, Delete, Mark
from controller.deployment.names import ENGINE
from controller.deployment.observed import Object, Observed, identity, is_ending, retired_at
from controller.deployment.render import Desired
from controller.deployment.render.labels import HAS_ENGINE

BESIDE = ("HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget")
"""Kinds that have the name of their Deployment, and go with it."""
SECURITY_KINDS = frozenset({"AuthorizationPolicy", "PeerAuthentication"})
_ORDER = {**dict.fromkeys(BESIDE, 0), "Deployment": 1, "Service": 2}
_POLL = timedelta(seconds=1)


def dismiss(desired: Desired, observed: Observed, *, routed: bool) -> list[Action]:
    """Delete at once what serves nobody: autoscalers and budgets of Deployments that stay, replaced routes, policies.

    Args:
        desired: what should exist.
        observed: what stands.
        routed: the routes that should exist are in effect.
    """
    kept = {each["metadata"]["name"] for each in desired.deployments}
    done: list[Action] = []
    for live in _unwanted(desired, observed):
        kind, name = identity(live)
        replaced = kind == "VirtualService" and (desired.route is None or routed)
        if (kind in BESIDE and name in kept) or kind in SECURITY_KINDS or replaced:
            done.append(_delete(live))
    return done


def retire(
    desired: Desired, observed: Observed, *, now: datetime, drain: timedelta
) -> tuple[list[Action], timedelta | None]:
    """Mark what has been replaced and delete what has drained; to be asked only when everything desired is in effect.

    Returns:
        The actions, and when to look again if something still drains.
    """
    actions: list[Action] = []
    left: list[timedelta] = []
    drained: list[Object] = []
    for live in _unwanted(desired, observed):
        since = retired_at(live)
        if not since:
            actions.append(Mark(*identity(live), live["metadata"]["resourceVersion"], format_instant(now)))
            left.append(drain)
            continue
        rest = datetime.fromisoformat(since) + drain - now
        if rest > timedelta(0):
            left.append(rest)
        else:
            drained.append(live)
    if drained:
        left.append(_POLL)
    return [*actions, *_in_order(observed, drained)], min(left, default=None)


def _unwanted(desired: Desired, observed: Observed) -> list[Object]:
    wanted = {identity(each) for each in desired.objects()}
    return [each for each in observed.owned() if identity(each) not in wanted and not is_ending(each)]


def _in_order(observed: Observed, drained: Sequence[Object]) -> list[Action]:
    """Delete rules first, then what holds an orchestrator; the rest when the pods of those are gone."""
    rules = [each for each in drained if each["kind"] == "DestinationRule"]
    rest = [each for each in drained if each["kind"] in _ORDER]
    fronts = {each["metadata"]["name"] for each in drained if _has_engine(each)}
    if fronts:
        rest = [each for each in rest if each["kind"] != "Service" and each["metadata"]["name"] in fronts]
    elif _orphaned_engines(observed):
        rest = []
    return [_delete(each) for each in (*rules, *sorted(rest, key=lambda each: _ORDER[each["kind"]]))]


def _has_engine(live: Object) -> bool:
    return live["kind"] == "Deployment" and HAS_ENGINE in (live["metadata"].get("labels") or {})


def _orphaned_engines(observed: Observed) -> bool:
    """Return whether an orchestrator's pod is still ending, whose Deployment is gone."""
    alive = {name for kind, name in observed.objects if kind == "Deployment"}
    return any(
        any(each.get("name") == ENGINE for each in pod["spec"].get("containers") or ())
        and (pod["metadata"].get("labels") or {}).get("app") not in alive
        for pod in observed.pods
    )


def _delete(live: Object) -> Delete:
    kind, name = identity(live)
    return Delete(kind, name, live["metadata"]["uid"])
