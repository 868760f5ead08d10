"""The dashboard's feed: a curve that it did not see is taken from the status."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.kube.resources import Resource
from controller.kube.watches import Change
from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.stream import Trouble

NOW = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
CURVE = {
    "metrics": ["errorRate"],
    "points": [
        {"at": "2026-01-01T00:00:40Z", "weight": 5, "observed": 4.8, "worse": [0.0], "good": [0.3]},
        {"at": "2026-01-01T00:01:00Z", "weight": 5, "worse": [1.0], "good": [0.0]},
    ],
}


class Watched:
    """A cluster of which one kind is watched."""

    tell: Callable[[Change], None]

    def watch(self, _resource: Resource, *, on_change: Callable[[Change], None]) -> None:
        self.tell = on_change

    def changed(self, at: str, evidence: float, digest: str = "bbb", began: str = "2026-01-01T00:00:30Z") -> None:
        metric = {"name": "errorRate", "verdict": "Inconclusive", "evidence": evidence}
        status: dict[str, Any] = {
            "canaryRevision": {"hash": digest, "number": 2},
            "analysis": {
                "startedAt": began,
                "updatedAt": at,
                "metrics": [metric],
                "curve": CURVE if digest == "bbb" else None,
            },
        }
        rollout = {"metadata": {"namespace": "ml", "name": "iris"}, "status": status}
        self.tell(Change("MODIFIED", rollout))


def shown(feed: Feed) -> list[tuple[str, float]]:
    return [(f"{point.at:%M:%S}", round(point.evidence["errorRate"], 2)) for point in feed.curve("ml", "iris")]


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        (["", ""], [None, None]),
        (["refused", "", "refused"], [None, None, None]),
        (["refused", "refused", "reset", "", ""], [None, "refused", None, "", None]),
    ],
    ids=["all is well", "a moment's silence", "it lasts, and ends"],
)
def test_that_the_api_server_is_away_is_told_once_when_it_lasts(looks: list[str], told: list[str | None]) -> None:
    trouble = Trouble()
    assert [trouble.seen(look) for look in looks] == told


async def test_a_dashboard_that_starts_late_shows_what_the_status_kept_and_goes_on_from_there() -> None:
    cluster = Watched()
    feed = Feed(cluster, now=lambda: NOW)
    cluster.changed("2026-01-01T00:01:00Z", 10.0)
    cluster.changed("2026-01-01T00:01:10Z", 20.0)
    assert shown(feed) == [("00:40", 1.0), ("01:00", 10.0), ("01:10", 20.0)]
    cluster.changed("2026-01-01T00:05:00Z", 1.0, digest="ccc")
    assert shown(feed) == [("05:00", 1.0)]


async def test_what_the_judge_reads_of_stables_own_past_is_not_drawn() -> None:
    cluster = Watched()
    feed = Feed(cluster, now=lambda: NOW)
    cluster.changed("2026-01-01T00:05:00Z", 1.0, digest="ccc", began="2026-01-01T00:25:00Z")
    cluster.changed("2026-01-01T00:25:10Z", 2.0, digest="ccc", began="2026-01-01T00:25:00Z")
    assert shown(feed) == [("25:10", 2.0)]


async def test_what_becomes_stuck_moves_to_the_front_without_a_change() -> None:
    cluster, instant = Watched(), NOW
    feed = Feed(cluster, now=lambda: instant)
    for name, kind in (("a", "time"), ("b", "pods")):
        blocked = {"kind": kind, "message": "0 of 1", "since": NOW.isoformat()}
        rollout = {
            "metadata": {"namespace": "ml", "name": name},
            "status": {"phase": "Progressing", "blockedOn": blocked},
        }
        cluster.tell(Change("ADDED", rollout))
    assert [row.name for row in feed.rows()] == ["a", "b"]
    instant = NOW + timedelta(minutes=15)
    assert [(row.name, row.urgency) for row in feed.rows()] == [("b", "attention"), ("a", "moving")]
