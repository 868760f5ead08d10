"""Templates join to a run: arguments, nested templates, circles, and what is refused in words."""

from typing import Any

import pytest

from controller.api.analysis import AnalysisTemplateSpec, Argument, TemplateRef
from controller.api.joining import JoinError, MissingTemplateError, join


def metric(name: str) -> dict[str, Any]:
    return {"name": name, "provider": {"prometheus": {"query": "{{args.job}}"}}}


def joined(templates: dict[str, dict[str, Any]], *names: str, args: tuple[Argument, ...] = ()) -> Any:
    known = {name: AnalysisTemplateSpec.model_validate(given) for name, given in templates.items()}
    refs = [TemplateRef(template_name=name.removeprefix("*"), cluster_scope=name[0] == "*") for name in names]
    return join(refs, lambda ref: known.get("*" * ref.cluster_scope + ref.template_name), args)


def test_metrics_and_arguments_of_all_templates_join_in_order() -> None:
    run = joined(
        {
            "a": {"metrics": [metric("one")], "args": [{"name": "job"}], "templates": [{"templateName": "b"}]},
            "b": {
                "metrics": [metric("two")],
                "args": [{"name": "job", "value": "default"}, {"name": "x", "value": "1"}],
            },
            "*c": {"metrics": [metric("three")]},
        },
        "a",
        "*c",
        "b",
        args=(Argument(name="job", value="iris"), Argument(name="unused", value="2")),
    )
    assert [one.name for one in run.metrics] == ["one", "two", "three"]
    assert {one.name: one.value for one in run.args} == {"job": "iris", "x": "1"}


@pytest.mark.parametrize(
    ("templates", "error", "said"),
    [
        ({}, MissingTemplateError, "there is no AnalysisTemplate 'a': create it"),
        (
            {"a": {"templates": [{"templateName": "b", "clusterScope": True}]}},
            MissingTemplateError,
            "no ClusterAnalysisTemplate 'b', which AnalysisTemplate 'a' names",
        ),
        (
            {"a": {"templates": [{"templateName": "b"}]}, "b": {"templates": [{"templateName": "a"}]}},
            JoinError,
            "in a circle: AnalysisTemplate 'a' -> AnalysisTemplate 'b' -> AnalysisTemplate 'a'",
        ),
        (
            {"a": {"metrics": [metric("m")], "templates": [{"templateName": "b"}]}, "b": {"metrics": [metric("m")]}},
            JoinError,
            "metric 'm' of AnalysisTemplate 'b' is in another template, too",
        ),
        ({"a": {"metrics": [metric("m")], "args": [{"name": "job"}]}}, JoinError, "argument 'job' has no value"),
        (
            {
                "a": {
                    "metrics": [metric("m")],
                    "args": [{"name": "job", "value": "1"}],
                    "templates": [{"templateName": "b"}],
                },
                "b": {"metrics": [metric("n")], "args": [{"name": "job", "value": "2"}]},
            },
            JoinError,
            "argument 'job' of AnalysisTemplate 'b' has another default",
        ),
    ],
)
def test_what_does_not_join_is_refused_in_words(templates: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        joined(templates, "a")


def test_templates_without_end_are_refused() -> None:
    chain = {f"t{n}": {"templates": [{"templateName": f"t{n + 1}"}]} for n in range(300)}
    with pytest.raises(JoinError, match="more than 200 templates"):
        joined(chain, "t0")
