"""Matches of a VirtualService as matches of Envoy."""

import pytest

from localcluster.mesh.errors import RouteError
from localcluster.mesh.matches import catches_all, route_match

CASES = [
    ({"uri": {"prefix": "/seldon/ml/iris/"}}, {"prefix": "/seldon/ml/iris/"}),
    ({"uri": {"exact": "/health"}}, {"path": "/health"}),
    (
        {"uri": {"regex": ".*seldon.protos.*|.*inference.*"}},
        {"safe_regex": {"regex": ".*seldon.protos.*|.*inference.*"}},
    ),
    ({"uri": {"prefix": "/A"}, "ignoreUriCase": True}, {"prefix": "/A", "case_sensitive": False}),
    (
        {"headers": {"seldon": {"exact": "iris"}, "Namespace": {"exact": "ml"}}},
        {
            "prefix": "/",
            "headers": [
                {"name": "namespace", "string_match": {"exact": "ml"}},
                {"name": "seldon", "string_match": {"exact": "iris"}},
            ],
        },
    ),
    ({"headers": {"x-any": {}}}, {"prefix": "/", "headers": [{"name": "x-any", "present_match": True}]}),
    (
        {"withoutHeaders": {"x-beta": {"exact": "yes"}}},
        {
            "prefix": "/",
            "headers": [
                {
                    "name": "x-beta",
                    "string_match": {"exact": "yes"},
                    "invert_match": True,
                    "treat_missing_header_as_empty": True,
                }
            ],
        },
    ),
    (
        {"withoutHeaders": {"x-beta": {}}},
        {"prefix": "/", "headers": [{"name": "x-beta", "present_match": True, "invert_match": True}]},
    ),
    (
        {"method": {"exact": "POST"}},
        {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
    ),
    (
        {"queryParams": {"debug": {"regex": "1|true"}, "v": {}}},
        {
            "prefix": "/",
            "query_parameters": [
                {"name": "debug", "string_match": {"safe_regex": {"regex": "1|true"}}},
                {"name": "v", "present_match": True},
            ],
        },
    ),
]


@pytest.mark.parametrize(("match", "expected"), CASES)
def test_a_match_becomes_a_match_of_envoy(match: dict[str, object], expected: dict[str, object]) -> None:
    assert route_match(match, "m") == expected


@pytest.mark.parametrize(
    ("match", "at", "says"),
    [
        ({"uri": {"prefix": "/a", "exact": "/b"}}, "m.uri", "exactly one of exact, prefix, regex"),
        ({"uri": {"prefix": ""}}, "m.uri.prefix", "must not be empty"),
        ({"uri": {"suffix": "/a"}}, "m.uri", "exactly one of exact, prefix, regex"),
        ({"headers": {"x": {"exact": 3}}}, "m.headers[x]", "as a string"),
        ({"sourceLabels": {"app": "x"}}, "m.sourceLabels", "is not supported by the local mesh"),
    ],
)
def test_a_match_that_cannot_be_obeyed_names_its_field(match: dict[str, object], at: str, says: str) -> None:
    with pytest.raises(RouteError, match=says) as raised:
        route_match(match, "m")
    assert raised.value.at == at


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"uri": {"prefix": "/"}}, True),
        ({"uri": {"regex": ".*"}}, True),
        ({"uri": {"prefix": "/seldon/"}}, False),
        ({"uri": {"prefix": "/"}, "headers": {"x": {}}}, False),
    ],
)
def test_only_a_match_without_conditions_takes_everything(match: dict[str, object], expected: bool) -> None:
    assert catches_all(match) is expected
