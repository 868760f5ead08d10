"""The schema that the API server holds and the model that the controllers read agree on every value."""

import re
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.api.crds import KINDS

# What a model alone refuses: its rules need numbers out of int-or-strings, or several lists at once.
MODEL_ONLY = (
    "more than one needs an interval", "can reach neither limit", "switched off", "given twice", "web sends a body",
    "both body and jsonBody", "at most 87600h", "at most two decimals", "a route is named once",
    "expected at least 0", "or at least 0", "expected one longer than 0", "is no time zone", "the last step is",
    "expected at most 2147483647", "expected 1 to 300", "has step", "without templates: name",
    "greater than or equal to datetime.timedelta",
)  # fmt: skip
STATUS_ONLY = ("exactly one of", "true, or absent", "at least one of", "cookies or a header")
"""Rules that a status does without: only we write it."""
WITHOUT_TRACE = [phase for phase in Phase if phase is not Phase.explain]
"""To explain a failure every line of every example is traced, which takes longer than all the rest."""
BOUNDED = settings(max_examples=20, deadline=None, phases=WITHOUT_TRACE, suppress_health_check=list(HealthCheck))
PARTS = [(kind.name, part) for kind in KINDS for part in ("spec", "status") if part in kind.model.model_fields]


def _text(schema):
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda at: f"{at.isoformat()}Z")
    if "pattern" in schema:
        pattern = re.compile(schema["pattern"].removeprefix("^").removesuffix("$"), re.ASCII)
        least = schema.get("minLength", 0)
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: least <= len(text) < 100 and "\n" not in text)
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("minLength", 0) + 4)


def _scalar(schema):
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(-1000 if low is None else low, 1000 if high is None else high)
        case "number":
            exclusive = {
                "exclude_min": schema.get("exclusiveMinimum", False),
                "exclude_max": schema.get("exclusiveMaximum", False),
            }
            return st.floats(-1e9 if low is None else low, 1e9 if high is None else high, **exclusive)
        case "string":
            return _text(schema)
    return st.integers(-5 if low is None else low, 100) | _text(schema)  # an int-or-string


@st.composite
def values(draw, schema, depth=0):
    """Draw a JSON value that a structural schema accepts; the deeper, the sparser."""
    match schema.get("type"):
        case "array":
            least = schema.get("minItems", 0)
            size = draw(st.integers(least, max(least, 2 if depth < 4 else 1)))
            items = [draw(values(schema["items"], depth + 1)) for _ in range(size)]
            keys = schema.get("x-kubernetes-list-map-keys", ())
            return (
                [item | {key: f"{item[key]}{index}" for key in keys} for index, item in enumerate(items)]
                if keys
                else items
            )
        case "object" if "properties" in schema:
            return draw(_objects(schema, depth))
        case "object" if "additionalProperties" in schema:
            return draw(
                st.dictionaries(st.text(max_size=5), values(schema["additionalProperties"], depth + 1), max_size=2)
            )
        case "object":
            return draw(
                st.dictionaries(st.text(max_size=5), st.none() | st.integers(0, 5) | st.text(max_size=5), max_size=2)
            )
    return draw(_scalar(schema))


@st.composite
def _objects(draw, schema, depth):
    properties, required = schema["properties"], set(schema.get("required", ()))
    one_of = next(
        (rule["rule"] for rule in schema.get("x-kubernetes-validations", ()) if rule["rule"].startswith("[has")), None
    )
    if one_of:
        chosen = {draw(st.sampled_from(sorted(properties)))}
    else:
        rarity = min(4, 1 + depth // 2)
        chosen = {key for key in properties if key in required or not draw(st.integers(0, rarity))}
    return {key: draw(values(properties[key], depth + 1)) for key in properties if key in chosen}


def _wrong_here(schema):
    """Return what this place of the schema refuses, however it is read."""
    if "enum" in schema:
        return ["no such word"]
    least = [schema["minimum"] - (not schema.get("exclusiveMinimum", False))] if "minimum" in schema else []
    most = [schema["maximum"] + 1] if "maximum" in schema else []
    kinds = {"object": "text", "array": {"an": "object"}, "string": ["a list"], "boolean": "neither"}
    return [kinds.get(schema.get("type"), ["a list"]), *least, *most]


def wrongs(schema, value, path=()):
    """Yield (path, wrong value) for each place of a value; None stands for a required field that is missing."""
    yield from ((path, wrong) for wrong in _wrong_here(schema))
    if schema.get("type") == "object":
        yield from (((*path, key), None) for key in schema.get("required", ()))
    if isinstance(value, dict):
        for key in value.keys() & schema.get("properties", {}).keys():
            yield from wrongs(schema["properties"][key], value[key], (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from wrongs(schema["items"], item, (*path, index))


def replaced(value, path, wrong):
    """Return a copy with one place replaced; removed, when there is nothing to put there."""
    result = deepcopy(value)
    place = result
    for key in path[:-1]:
        place = place[key]
    if wrong is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = wrong
    return result


def _whole(kinds, name, part, value):
    """Return an object with the drawn part, and the least of a spec where the part is a status."""
    least = {
        "SeldonDeployment": {"predictors": [{"name": "default", "graph": {"name": "model"}}]},
        "SeldonRollout": {"template": {"spec": {"predictors": [{"name": "default", "graph": {"name": "model"}}]}}},
        "AnalysisRun": {"metrics": [{"name": "m", "provider": {"prometheus": {"query": "up"}}}]},
    }
    whole = {"apiVersion": "v1", "kind": name, "metadata": {"name": "iris"}, part: value}
    return whole if part == "spec" else whole | {"spec": least[name]}


def _read(served, whole):
    """Return the model, or what it has against the object in words of its own."""
    try:
        return served.parse(whole), []
    except ValidationError as error:
        found = error.errors()
        return None, [each["msg"] for each in found if each["type"] == "value_error" or len(found) == 1]


@pytest.mark.parametrize(("name", "part"), PARTS)
@BOUNDED
@given(data=st.data())
def test_what_the_schema_accepts_the_model_reads_and_writes_back(kinds, name, part, data):
    served = kinds[name]
    whole = _whole(kinds, name, part, data.draw(values(served.schema["properties"][part])))
    assume(not served.errors(whole))
    model, refusals = _read(served, whole)
    if model is None:
        assert refusals
        allowed = MODEL_ONLY + (STATUS_ONLY if part == "status" else ())
        assert all(any(known in refusal for known in allowed) for refusal in refusals), refusals
        return
    written = {"apiVersion": "v1", "kind": name, "metadata": {"name": "iris"}}
    written |= model.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert served.errors(written) == []
    assert served.parse(written) == model


@pytest.mark.parametrize(("name", "part"), PARTS)
@BOUNDED
@given(data=st.data())
def test_what_the_schema_refuses_at_one_place_the_model_refuses_too(kinds, name, part, data):
    served = kinds[name]
    schema = served.schema["properties"][part]
    whole = _whole(kinds, name, part, data.draw(values(schema)))
    places = [(path, wrong) for path, wrong in wrongs(schema, whole[part]) if path]
    assume(places)
    path, wrong = data.draw(st.sampled_from(places))
    broken = whole | {part: replaced(whole[part], path, wrong)}
    assert served.errors(broken)
    with pytest.raises(ValidationError):
        served.parse(broken)
