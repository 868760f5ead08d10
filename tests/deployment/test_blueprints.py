"""What is rendered is kept exactly as long as nothing that it depends on changes."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.deployment.blueprints import Blueprint, Blueprints, read
from controller.deployment.configuration import Configuration

Make = Callable[..., dict[str, Any]]
HERE = Configuration()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, True),
        ({"status": {"state": "Available"}}, True),
        ({"spec": {"protocol": "v2"}}, False),
        ({"metadata": {"labels": {"rollouts.seldon.io/role": "stable"}}}, False),
        ({"metadata": {"annotations": {"seldon.io/no-engine": "true"}}}, False),
        ({"metadata": {"resourceVersion": "17"}}, True),
        ({"metadata": {"generation": 7}}, False),
    ],
    ids=["nothing", "status", "spec", "labels", "annotations", "version", "generation"],
)
def test_it_is_kept_while_what_it_depends_on_stays(make_model: Make, change: dict[str, Any], kept: bool) -> None:
    blueprints, before = Blueprints(), make_model()
    after = {**before, **{name: {**before.get(name, {}), **value} for name, value in change.items()}}
    first = blueprints.of(before, HERE)
    second = blueprints.of(after, HERE)
    assert (second is first) == kept
    assert second == read(after, HERE)


def test_another_configuration_renders_anew(make_model: Make) -> None:
    blueprints = Blueprints()
    first = blueprints.of(make_model(), HERE)
    second = blueprints.of(make_model(), Configuration(orchestrator_image="other"))
    assert isinstance(first, Blueprint)
    assert isinstance(second, Blueprint)
    assert first.rendered != second.rendered


def test_problems_are_told_again(make_model: Make) -> None:
    blueprints, bad = Blueprints(), make_model("Iris")
    first = blueprints.of(bad, HERE)
    assert not isinstance(first, Blueprint)
    assert blueprints.of(bad, HERE) is first


def test_only_so_many_are_kept(make_model: Make) -> None:
    blueprints = Blueprints(kept=2)
    objects = [{**make_model(), "metadata": {**make_model()["metadata"], "uid": f"uid-{n}"}} for n in range(3)]
    first = [blueprints.of(each, HERE) for each in objects]
    again = [blueprints.of(each, HERE) for each in reversed(objects)]
    assert [one is other for one, other in zip(reversed(first), again, strict=True)] == [True, True, False]
