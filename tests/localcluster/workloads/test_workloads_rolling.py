"""The arithmetic of a rolling update keeps its two promises at every step, and ends."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.workloads.amounts import Limits, amount, limits_of
from localcluster.workloads.rolling import Arm, rescale, roll


def deployment(replicas: int | None, strategy: dict[str, object] | None = None) -> dict[str, object]:
    return {"spec": {"replicas": replicas, "strategy": strategy or {}}}


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 4, False, 4), ("0%", 9, True, 0)],
)
def test_an_amount_is_a_number_or_a_share_rounded_in_the_favour_of_its_field(value, total, up, expected):
    assert amount(value, total, up=up) == expected


@pytest.mark.parametrize("value", ["a quarter", "25", "-5%"])
def test_an_amount_that_is_neither_is_refused_by_name(value):
    with pytest.raises(ValueError, match="neither a number of pods nor a percentage"):
        amount(value, 4, up=True)


@pytest.mark.parametrize(
    ("given_deployment", "expected"),
    [
        (deployment(4), Limits(4, 1, 1)),
        (deployment(None), Limits(1, 1, 0)),
        (deployment(0), Limits(0, 0, 0)),
        (deployment(3, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}), Limits(3, 0, 1)),
        (deployment(3, {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}}), Limits(3, 2, 1)),
        (deployment(3, {"type": "Recreate"}), Limits(3, 0, 3)),
    ],
)
def test_limits_of_a_deployment_follow_kubernetes_rounding_and_defaults(given_deployment, expected):
    assert limits_of(given_deployment) == expected


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    desired = draw(st.integers(0, 12))
    surge = draw(st.integers(0, 5)) if desired else 0
    unavailable = draw(st.integers(0, desired))
    return Limits(desired, surge, unavailable if surge or unavailable else min(1, desired))


def follow(arm: Arm, replicas: int, available: int) -> Arm:
    """The arm after its pods followed: unavailable pods go first."""
    return replace(arm, replicas=replicas, pods=replicas, available=min(arm.available + available, replicas))


@given(
    limits(),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=3),
    st.lists(st.integers(0, 3), min_size=60, max_size=60),
)
def test_a_rolling_update_never_leaves_its_limits_and_ends_with_the_new_arm_alone(bounds, old_arms, pace):
    old = [
        Arm(name=f"old{index}", replicas=count, pods=count, available=min(ready, count))
        for index, (count, ready) in enumerate(old_arms)
    ]
    new = Arm(name="new", replicas=0)
    for gain in (*pace, *[bounds.most] * 40):
        available = new.available + sum(arm.available for arm in old)
        present = new.replicas + sum(arm.replicas for arm in old)
        scales = roll(new, old, bounds)
        new = replace(new, replicas=scales.get("new", new.replicas))
        old = [replace(arm, replicas=scales.get(arm.name, arm.replicas)) for arm in old]
        assert new.replicas + sum(arm.replicas for arm in old) <= max(present, bounds.most)
        new = follow(new, new.replicas, 0)
        old = [follow(arm, arm.replicas, 0) for arm in old]
        assert new.available + sum(arm.available for arm in old) >= min(available, bounds.least_available)
        new = follow(new, new.replicas, gain)
    assert new.replicas == bounds.desired
    assert all(arm.replicas == 0 for arm in old)


@given(limits(), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_pods_that_have_not_gone_yet_count_against_the_surge(bounds, replicas, pods, new_pods):
    old = [Arm(name="old", replicas=replicas, pods=pods, available=min(replicas, pods))]
    new = Arm(name="new", replicas=min(new_pods, bounds.desired), pods=new_pods)
    target = roll(new, old, bounds).get("new", new.replicas)
    assert target <= new.replicas or target + max(replicas, pods) <= bounds.most


@given(limits(), st.lists(st.integers(0, 8), min_size=1, max_size=4), st.booleans())
def test_rescaling_in_the_middle_of_an_update_shares_out_exactly_what_is_allowed(bounds, sizes, has_new):
    arms = [
        Arm(name=str(index), replicas=size, pods=size, available=size, most=sum(sizes))
        for index, size in enumerate(sizes)
    ]
    new, old = (arms[-1], arms[:-1]) if has_new else (None, arms)
    scales = rescale(new, old, bounds)
    after = [scales.get(arm.name, arm.replicas) for arm in arms]
    assert all(count >= 0 for count in after)
    in_use = [size for size in sizes if size]
    finished = new is not None and new.replicas == bounds.desired
    if len(in_use) <= 1 or finished:
        assert sum(after) == bounds.desired
    else:
        assert sum(after) == (bounds.most if bounds.desired else 0)


def test_rescaling_keeps_the_proportion_of_the_arms():
    old, new = Arm(name="old", replicas=8, available=8, most=12), Arm(name="new", replicas=4, available=4, most=12)
    assert rescale(new, [old], Limits(20, 4, 0)) == {"old": 16, "new": 8}
