"""Sets of fields: laws that hold for all of them, and what comparing two objects finds."""

from hypothesis import given
from hypothesis import strategies as st

from localcluster.apiserver import fieldset as fs
from localcluster.apiserver.merge import merged, pruned
from localcluster.apiserver.shape import custom

NAMES = st.sampled_from(["f:a", "f:b", "f:c"])
NODES = st.recursive(
    st.just({}),
    lambda children: st.tuples(st.booleans(), st.dictionaries(NAMES, children, min_size=1, max_size=3)).map(
        lambda pair: ({".": {}} if pair[0] else {}) | pair[1]
    ),
    max_leaves=8,
)
SETS = st.dictionaries(NAMES, NODES, max_size=3)
SHAPE = custom(
    {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "keyed": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "integer"}}},
            },
        },
    }
)  # fmt: skip
TEXT = st.sampled_from("abc")
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "list": st.lists(TEXT, max_size=3),
        "set": st.lists(TEXT, max_size=3, unique=True),
        "map": st.dictionaries(TEXT, TEXT, max_size=3),
        "keyed": st.lists(
            st.fixed_dictionaries({"name": TEXT}, optional={"value": st.integers(0, 2)}),
            max_size=3,
            unique_by=lambda i: i["name"],
        ),
    },
)


def members(fields):
    return set(fs.paths(fields))


@given(SETS, SETS)
def test_a_union_has_the_members_of_both(a, b):
    assert members(fs.union(a, b)) == members(a) | members(b)


@given(SETS, SETS)
def test_an_intersection_has_what_both_have(a, b):
    assert members(fs.intersection(a, b)) == members(a) & members(b)


@given(SETS, SETS)
def test_a_difference_has_what_only_the_first_has(a, b):
    assert members(fs.difference(a, b)) == members(a) - members(b)


@given(SETS, SETS)
def test_without_takes_out_whole_branches(a, b):
    cut = members(b)
    expected = {path for path in members(a) if not any(path[: len(each)] == each for each in cut)}
    assert members(fs.without(a, b)) == expected


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(obj):
    import copy

    assert fs.compare(obj, copy.deepcopy(obj), SHAPE) == ({}, {})


@given(OBJECTS, OBJECTS)
def test_what_is_added_one_way_is_removed_the_other(a, b):
    changed, removed = fs.compare(a, b, SHAPE)
    back_changed, back_removed = fs.compare(b, a, SHAPE)
    assert members(removed) <= members(fs.union(back_changed, {}))
    assert members(back_removed) <= members(changed)


@given(OBJECTS, OBJECTS)
def test_merging_gives_everything_that_was_applied(live, config):
    result = merged(live, config, SHAPE)
    for name, value in config.items():
        if name == "list":
            assert result[name] == value
        elif name == "set":
            assert set(result[name]) == set(value) | set(live.get(name, ()))
        elif name == "map":
            assert result[name] == {**live.get(name, {}), **value}
        else:
            found = {item["name"]: item for item in result[name]}
            assert all(found[item["name"]].items() >= item.items() for item in value)
            assert len(found) == len(result[name])


@given(OBJECTS)
def test_merging_is_done_after_once(config):
    assert merged(config, config, SHAPE) == config


@given(OBJECTS)
def test_giving_everything_up_that_nobody_else_owns_leaves_nothing_of_it(obj):
    left = pruned(obj, fs.of_value(obj, SHAPE), {}, SHAPE)
    assert members(fs.of_value(left or {}, SHAPE)) <= {
        path for path in members(fs.of_value(obj, SHAPE)) if len(path) == 1
    }


@given(OBJECTS, OBJECTS)
def test_what_somebody_owns_is_never_taken_out(obj, theirs):
    together = merged(obj, theirs, SHAPE)
    owned = fs.of_value(theirs, SHAPE)
    left = pruned(together, fs.of_value(obj, SHAPE), owned, SHAPE) or {}
    assert members(owned) <= members(fs.of_value(left, SHAPE))


def test_paths_are_shown_as_people_read_them():
    path = ("f:spec", 'k:{"name":"app","port":80}', "f:image")
    assert fs.shown(path) == '.spec[name="app",port=80].image'
    assert fs.shown(("f:tags", 'v:"x"')) == '.tags[="x"]'
