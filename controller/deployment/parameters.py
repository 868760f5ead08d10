"""Parameters of a graph's nodes, and what its built-ins need: what else an orchestrator refuses at its start. Pure."""

from collections.abc import Iterator

from controller.api.deployment import Parameter, PredictiveUnit
from controller.deployment.podshape import Found

LEARNERS = frozenset({"EPSILON_GREEDY", "THOMPSON_SAMPLING"})
"""Routers that learn from feedback."""
_ASK_CHILDREN = frozenset({"SIMPLE_ROUTER", "AVERAGE_COMBINER", *LEARNERS})
_SHARES = {"RANDOM_ABTEST": "ratioA", **dict.fromkeys(LEARNERS, "epsilon")}
_NUMBERS = frozenset({"INT", "FLOAT", "DOUBLE"})
_TRUTHS = frozenset({"y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0"})
"""What Seldon Core's wrapper reads for BOOL."""


def faults(unit: PredictiveUnit, field: str) -> Iterator[Found]:
    """Yield what is wrong with a node's parameters and children, as field, value and what would be right."""
    bad = [_value(each, f"{field}.parameters[{index}]") for index, each in enumerate(unit.parameters)]
    yield from (each for each in bad if each)
    children = len(unit.children)
    if unit.implementation == "RANDOM_ABTEST" and children != 2:
        yield f"{field}.children", children, "two children for RANDOM_ABTEST"
    if unit.implementation in _ASK_CHILDREN and not children:
        yield f"{field}.children", children, f"at least one child for {unit.implementation}: it is asked instead"
    if not any(bad):
        yield from _choices(unit, field)


def _value(parameter: Parameter, field: str) -> Found | None:
    text, kind = parameter.value, parameter.type
    try:
        good = text.lower() in _TRUTHS if kind == "BOOL" else kind == "STRING" or _number(text, kind) is not None
    except ValueError:
        good = False
    expected = "true or false" if kind == "BOOL" else f"the text of a number, as its type is {kind}"
    return None if good else (f"{field}.value", text, expected)


def _number(text: str, kind: str) -> float:
    return int(text) if kind == "INT" else float(text)


def _choices(unit: PredictiveUnit, field: str) -> Iterator[Found]:
    """Check the parameters by which a built-in router chooses."""
    share = _SHARES.get(unit.implementation or "")
    for index, each in enumerate(unit.parameters):
        path = f"{field}.parameters[{index}]"
        if each.name == share and not (each.type in _NUMBERS and 0 <= _number(each.value, each.type) <= 1):
            yield f"{path}.value", each.value, f"a share from 0 to 1, of type FLOAT, for {unit.implementation}"
        if each.name == "seed" and unit.implementation in LEARNERS and each.type != "INT":
            yield f"{path}.type", each.type, f"INT for the seed of {unit.implementation}"
