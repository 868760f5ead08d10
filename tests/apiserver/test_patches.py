"""Patches as pure functions: the examples of their standards, and what they leave alone."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.apiserver import patches
from localcluster.apiserver.errors import ApiError
from localcluster.apiserver.shape import builtin

POD = builtin("io.k8s.api.core.v1.Pod")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("xyz"), below, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_what_their_standard_says(target, patch, result):
    assert patches.merge(target, patch) == result


@given(JSON, JSON)
def test_a_merge_patch_changes_neither_of_its_arguments(target, patch):
    before = copy.deepcopy((target, patch))
    patches.merge(target, patch)
    assert (target, patch) == before


@given(JSON, JSON)
def test_a_merge_patch_twice_is_a_merge_patch_once(target, patch):
    once = patches.merge(target, patch)
    assert patches.merge(once, patch) == once


def test_a_json_patch_leaves_the_object_alone():
    target = {"a": [1, 2]}
    assert patches.json_patch(target, [{"op": "add", "path": "/a/-", "value": 3}]) == {"a": [1, 2, 3]}
    assert target == {"a": [1, 2]}


@pytest.mark.parametrize("operations", [[{"op": "add", "path": "/a"}], [{"op": "fly", "path": "/a"}], [{"path": "/a"}]])
def test_an_operation_that_is_none_is_refused(operations):
    with pytest.raises(ApiError) as caught:
        patches.json_patch({"a": 1}, operations)
    assert caught.value.code in (400, 422)


def test_a_json_patch_has_a_limit():
    with pytest.raises(ApiError) as caught:
        patches.json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)
    assert caught.value.code == 413


def pod(*containers, **spec):
    return {"spec": {"containers": list(containers), **spec}}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (pod({"name": "b", "image": "2"}), [("a", "1"), ("b", "2")]),
        (pod({"name": "c", "image": "3"}), [("a", "1"), ("b", "1"), ("c", "3")]),
        (pod({"name": "a", "$patch": "delete"}), [("b", "1")]),
        (pod({"$patch": "replace"}, {"name": "z", "image": "9"}), [("z", "9")]),
        (
            {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
            [("b", "1"), ("a", "1")],
        ),
    ],
)
def test_containers_merge_by_name(patch, expected):
    target = pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    result = patches.strategic(target, patch, POD)
    assert [(c["name"], c["image"]) for c in result["spec"]["containers"]] == expected


def test_an_item_without_its_merge_key_is_refused():
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        patches.strategic(pod(), pod({"image": "x"}), POD)


def test_tolerations_are_replaced_whole():
    target = pod(tolerations=[{"key": "a"}])
    assert patches.strategic(target, pod(tolerations=[{"key": "b"}]), POD)["spec"]["tolerations"] == [{"key": "b"}]


def test_a_volume_changes_its_source_by_retained_keys():
    target = pod(volumes=[{"name": "v", "emptyDir": {}}])
    change = {"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}
    result = patches.strategic(target, {"spec": {"volumes": [change]}}, POD)
    assert result["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


def test_an_unknown_directive_is_refused():
    with pytest.raises(ApiError, match="Unrecognized patch type: explode"):
        patches.strategic({}, {"$patch": "explode"}, POD)
