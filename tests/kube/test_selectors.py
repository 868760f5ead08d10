"""Label selectors mean here what they mean to the API server."""

import pytest

from controller.kube import selectors


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ("", {}, True),
        ("app=iris", {"app": "iris"}, True),
        ("app==iris", {"app": "iris"}, True),
        ("app=iris", {"app": "wine"}, False),
        ("app=iris", {}, False),
        ("app!=iris", {}, True),
        ("app!=iris", {"app": "iris"}, False),
        ("app", {"app": ""}, True),
        ("app", {}, False),
        ("!app", {}, True),
        ("!app", {"app": "x"}, False),
        ("tier in (a, b)", {"tier": "b"}, True),
        ("tier in (a,b)", {"tier": "c"}, False),
        ("tier notin (a,b)", {}, True),
        ("tier notin (a,b)", {"tier": "a"}, False),
        ("app=iris,tier in (a,b),!debug", {"app": "iris", "tier": "a"}, True),
        ("app=iris,tier in (a,b),!debug", {"app": "iris", "tier": "a", "debug": ""}, False),
        ("rollouts.seldon.io/rollout", {"rollouts.seldon.io/rollout": "iris"}, True),
    ],
)
def test_a_selector_selects(selector: str, labels: dict[str, str], expected: bool) -> None:
    assert selectors.matches(selector, {"metadata": {"labels": labels}}) is expected


def test_an_object_without_labels_has_none() -> None:
    assert not selectors.matches("app", {"metadata": {}})
    assert selectors.matches("!app", {"metadata": {"labels": None}})


@pytest.mark.parametrize("selector", ["a b", "app=iris,,x", "=x", "tier in a"])
def test_a_part_that_says_nothing_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="label selector"):
        selectors.parse(selector)
