"""Who may take a lease, and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kube.lease import (
    Create,
    Decision,
    Record,
    Renew,
    Take,
    Terms,
    View,
    Wait,
    decide,
    holds_until,
    parse,
    render,
)

TERMS = Terms()
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def record(holder: str, *, renewed: str = "t1", seconds: int = 15) -> Record:
    return Record(holder=holder, renewed=renewed, duration=timedelta(seconds=seconds), transitions=0, version="1")


@pytest.mark.parametrize(
    ("view", "now", "expected"),
    [
        (View(None, 0), 0, Create()),
        (View(record(""), 0), 0, Take()),
        (View(record("me"), 0), 0, Renew()),
        (View(record("me"), 0), 999, Renew()),
        (View(record("me"), 0, deleted=True), 1, Create()),
        (View(record("other"), 0), 0, Wait(2)),
        (View(record("other"), 0), 14, Wait(1)),
        (View(record("other"), 0), 14.9, Wait(pytest.approx(0.1))),  # type: ignore[arg-type]  # equal to a float
        (View(record("other"), 0), 15, Take()),
        (View(record("other"), 100), 110, Wait(2)),
        (View(record("other", seconds=60), 0), 30, Wait(2)),
        (View(record("other", seconds=60), 0), 60, Take()),
        (View(record("other"), 0, deleted=True), 14, Wait(1)),
        (View(record("other"), 0, deleted=True), 15, Create()),
    ],
    ids=str,
)
def test_a_lease_is_taken_only_when_its_holder_cannot_be_working(view: View, now: float, expected: Decision) -> None:
    assert decide(view, me="me", now=now, terms=TERMS) == expected


def test_a_renewal_starts_the_wait_anew_and_another_look_does_not() -> None:
    view = View(None, 0).after(record("other", renewed="t1"), 5)
    assert view.seen_at == 5
    assert view.after(record("other", renewed="t1"), 9).seen_at == 5
    assert view.after(record("other", renewed="t2"), 9).seen_at == 9
    assert view.after(record("third", renewed="t1"), 9).seen_at == 9


def test_a_lease_that_somebody_deleted_is_not_free_at_once() -> None:
    view = View(None, 0).after(record("other"), 5).after(None, 7)
    assert view == View(record("other"), 5, deleted=True)
    assert View(None, 0).after(None, 7) == View(None, 7)


@given(
    duration=st.floats(1.5, 100),
    deadline_share=st.floats(0.05, 0.99),
    asked_at=st.floats(0, 1000),
    on_the_way=st.floats(0, 50),
    until_seen=st.floats(0, 50),
)
def test_two_never_lead_whatever_the_delays(
    duration: float, deadline_share: float, asked_at: float, on_the_way: float, until_seen: float
) -> None:
    """On one true time line: the renewal is asked for, stored later, and seen by the candidate later still."""
    terms = Terms(
        duration=timedelta(seconds=duration),
        deadline=timedelta(seconds=duration * deadline_share),
        retry=timedelta(seconds=duration * deadline_share / 2),
    )
    stops_at = holds_until(asked_at, terms)
    seen_at = asked_at + on_the_way + until_seen
    view = View(Record(holder="a", renewed="t", duration=terms.duration, transitions=0, version="1"), seen_at)
    if decide(view, me="b", now=stops_at, terms=terms) == Take():
        raise AssertionError("the candidate took the lease while the leader may work")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((15, 15, 2), "not in order"),
        ((15, 10, 10), "not in order"),
        ((0.5, 0.2, 0.1), "too short"),
        ((15, 10, 0), "order"),
    ],
)
def test_terms_under_which_two_could_lead_are_refused(seconds: tuple[float, float, float], said: str) -> None:
    duration, deadline, retry = (timedelta(seconds=value) for value in seconds)
    with pytest.raises(ValueError, match=said):
        Terms(duration=duration, deadline=deadline, retry=retry)


def lease(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "l", "namespace": "n", "resourceVersion": "7", "managedFields": []}, "spec": spec}


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    names = {"namespace": "n", "name": "l", "at": AT, "terms": TERMS}
    created = render(None, me="a", **names)  # type: ignore[arg-type]  # mypy sees a dict of objects
    assert created["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    held = lease(holderIdentity="a", acquireTime="2025-01-01T00:00:00.000000Z", leaseTransitions=3)
    renewed = render(held, me="a", **names)  # type: ignore[arg-type]  # the same
    assert (renewed["spec"]["leaseTransitions"], renewed["spec"]["acquireTime"]) == (3, "2025-01-01T00:00:00.000000Z")
    assert renewed["metadata"] == {"name": "l", "namespace": "n", "resourceVersion": "7"}
    taken = render(held, me="b", **names)  # type: ignore[arg-type]  # the same
    assert (taken["spec"]["leaseTransitions"], taken["spec"]["acquireTime"]) == (4, "2026-01-01T12:00:00.000000Z")
    released = render(held, me="", **names)  # type: ignore[arg-type]  # the same
    assert "holderIdentity" not in released["spec"]
    assert released["spec"]["leaseTransitions"] == 3
    assert parse(released, TERMS).holder == ""


@pytest.mark.parametrize(
    "spec", [{}, {"leaseDurationSeconds": "x", "leaseTransitions": None}, {"leaseDurationSeconds": -1}]
)
def test_a_lease_with_odd_fields_is_read_by_our_own_terms(spec: dict[str, Any]) -> None:
    read = parse(lease(**spec), TERMS)
    assert (read.holder, read.duration, read.transitions) == ("", TERMS.duration, 0)
