"""Label selectors mean what the Kubernetes documentation says."""

import pytest

from localcluster.selectors import matches


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),  # codespell:ignore notin
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),  # codespell:ignore notin
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_selector_fits_labels_that_satisfy_all_of_it_and_an_empty_one_fits_nothing(selector, expected):
    assert matches(selector, {"a": "1"}) is expected


def test_an_unknown_operator_is_named():
    with pytest.raises(ValueError, match="operator 'Like' is not one of In"):
        matches({"matchExpressions": [{"key": "a", "operator": "Like"}]}, {})
