"""Can rollouts be judged? What the judge's own preflight says, of a canary under way or of stable alone."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.preflight import QUIET
from analysis.spec import Arm, Comparison
from controller import clock
from controller.api.rollout import RolloutSpec
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.errors import ApiError, NotFoundError
from controller.rollout import judging
from seldon_rollouts import phases
from seldon_rollouts.checkup import Judged
from seldon_rollouts.view.base import status_of

LOOKED = 20
"""At most so many rollouts are looked at, those under way or in need first."""


async def looked_at(client: Client) -> list[dict[str, Any]]:
    """Read some rollouts, the most urgent ones; none where they may not be seen, or their kind is not served."""
    try:
        rows = await client.table(resources.SELDON_ROLLOUT)
    except ApiError:
        return []
    now = clock.now()
    rows.sort(key=lambda row: (phases.urgency(row, stuck=phases.stuck(row, now)), row["metadata"]["name"]))
    found = await asyncio.gather(*(_standing(client, row["metadata"]) for row in rows[:LOOKED]))
    return [each for each in found if each is not None]


async def _standing(client: Client, meta: dict[str, Any]) -> dict[str, Any] | None:
    """Return a rollout; None where it is gone by now."""
    try:
        return await client.get(resources.SELDON_ROLLOUT, meta["namespace"], meta["name"])
    except NotFoundError:
        return None


async def judged(rollouts: Iterable[dict[str, Any]], measurer: Measurer | None, now: datetime) -> tuple[Judged, ...]:
    """Return whether each rollout can be judged: as its controller found, else as its stable revision's series tell.

    Args:
        rollouts: as they are in the cluster.
        measurer: asks Prometheus; without one only what controllers found is told.
        now: until when series are read.
    """
    told, monitor = [], Monitor(measurer) if measurer is not None else None
    asked = []
    for rollout in rollouts:
        seen = status_of(rollout).analysis.preflight
        if seen is not None and seen.ready != "Unknown":
            told.append(Judged(where=_where(rollout), ready=seen.ready == "True", message=seen.message))
        elif monitor is not None and (alone := _alone(rollout, now)) is not None:
            monitor.track(alone)
            asked.append(alone.key)
    if monitor is not None and asked:
        await monitor.tick(now)
        for key in asked:
            judgement = monitor.judgement(key)
            if judgement is not None and judgement.preflight is not None:
                found = judgement.preflight
                told.append(Judged(where="/".join(key), ready=found.ready, message=found.message or found.reason))
    return tuple(told)


def _where(rollout: dict[str, Any]) -> str:
    return f"{rollout['metadata']['namespace']}/{rollout['metadata']['name']}"


def _alone(rollout: dict[str, Any], now: datetime) -> Comparison | None:
    """Return stable, compared with itself: the preflight then tells what is missing; None where none serves."""
    stable = status_of(rollout).stable_revision
    try:
        plan = judging.plan(RolloutSpec.model_validate(rollout.get("spec") or {}).analysis)
    except ValueError:
        return None  # `lint` tells that
    if stable is None:
        return None
    meta = rollout["metadata"]
    arm = Arm(meta["namespace"], stable.name)
    begun = now - timedelta(seconds=QUIET)
    return Comparison(
        key=(meta["namespace"], meta["name"]),
        stable=arm,
        canary=arm,
        plan=replace(plan, judge="sequential"),
        started_at=begun,
    )
