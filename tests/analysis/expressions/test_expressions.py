"""Expressions: the same values as Expr has, bounded work, no way out of plain values, errors that help."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.expressions.condition import conditions
from analysis.expressions.errors import ExpressionError
from analysis.expressions.evaluate import compiled
from analysis.expressions.values import Value, equal

CASES = json.loads((Path(__file__).parent / "expr.json").read_text())
"""Answers of expr-lang/expr 1.17.8 with Argo Rollouts' functions, of which lists of numbers are vectors."""


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {"NaN": math.nan, "Inf": math.inf}.get(value, value) if isinstance(value, str) else value


def answer(expression: str, result: Any) -> Any:
    try:
        return compiled(expression).value({"result": result})
    except ExpressionError:
        return ExpressionError


def same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right):
        return True
    return left is right or (ExpressionError not in (left, right) and equal(left, right))


def test_every_expression_has_the_value_that_expr_gives_it() -> None:
    wrong = []
    for case in CASES:
        wanted = ExpressionError if case.get("error") else plain(case["value"])
        found = answer(case["expression"], plain(case["result"]))
        if not same(found, wanted):
            wrong.append((case["expression"], case["result"], wanted, found))
    assert not wrong
    assert len(CASES) > 600


@pytest.mark.parametrize("expression", ["max(result)", "mean(result)", "median(result)", "min(result)"])
def test_nothing_has_no_mean_where_expr_would_say_0(expression: str) -> None:
    with pytest.raises(ExpressionError, match="at least one number; found an empty list"):
        compiled(expression).value({"result": []})


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("reslt > 1", "unknown name 'reslt'; known are result"),
        ("result > warning", "a text stands in quotes"),
        ("isNaN == 1", "a function is called, as in isNaN"),
        ("sqrt(result)", "unknown function 'sqrt'; known are"),
        ("isNaN(result, 1)", "isNaN takes 1 argument"),
        ("all(result)", "all takes a list and a condition"),
        ("# > 1", "mean an element, within all"),
        ("result >", "ends too early"),
        ("result > 1 )", "at character 12"),
        ("result ; 1", "at character 8: '; 1' cannot be read"),
        ("result | len()", "at character 8"),
        ("let x = 1; x", "at character"),
        ("", "ends too early"),
        ("x" * 5000, "expected at most 4096"),
        ("(" * 200 + "1" + ")" * 200 + " + " + "-" * 100 + "1", "nested more than 64"),
        ("!" * 100 + "true", "nested more than 64"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(expression: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(").replace("[", r"\[")):
        compiled(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "all(0..99, all(0..99, all(0..99, true)))",
        "len(0..1000000000) > 0",
        "len(map(0..999, map(0..999, #))) > 0",
        "9223372036854775807 + 1 > 0",
    ],
)
def test_work_and_numbers_are_bounded(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compiled(expression).value({"result": 1})


NUMBERS = [float(number) for number in range(20_000)]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("count(1..300, {result == result}) > 0", NUMBERS),
        ("count(1..300, {-1 in result}) > 0", NUMBERS),
        ("count(1..300, {sum(result) > 1}) > 0", NUMBERS),
        ("count(1..300, {max(result) > 1}) > 0", NUMBERS),
        ("count(1..20000, {len(result[1:]) > 1}) > 0", NUMBERS),
        ("count(1..300, {result matches 'b$'}) > 0", "a" * 1_000_000),
        ("count(1..300, {upper(result) == 'B'}) > 0", "a" * 1_000_000),
        ("count(1..300, {len(keys(result)) == 1}) > 0", dict.fromkeys(map(str, NUMBERS))),
    ],
)
def test_what_a_comparison_or_a_function_looks_at_counts(expression: str, result: Value) -> None:
    with pytest.raises(ExpressionError, match="looks at more than"):
        compiled(expression).value({"result": result})


def test_a_large_answer_can_be_judged() -> None:
    assert compiled("sum(result) > 1 && mean(result) > 1 && len(result) == 20000").value({"result": NUMBERS}) is True


@pytest.mark.parametrize("written", ["' 1'", "'1_0'", "'\u0661'", "'0x1'"])
def test_a_text_that_go_would_not_read_as_a_number_is_none(written: str) -> None:
    for function in ("asInt", "asFloat"):
        with pytest.raises(ExpressionError, match=f"{function} needs"):
            compiled(f"{function}({written})").value({"result": 1})


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ExpressionError, match="is no text"):
        compiled(r"result matches '\ud800'").value({"result": "a"})


def test_a_hostile_regular_expression_takes_linear_time() -> None:
    assert compiled("result matches '^(a+)+$'").value({"result": "a" * 5000 + "b"}) is False


@pytest.mark.parametrize("attribute", ["__class__", "append", "keys", "real", "__init__"])
def test_a_member_is_a_key_of_a_map_and_never_an_attribute(attribute: str) -> None:
    for result in ([1.0], "text", 1.5, True):
        with pytest.raises(ExpressionError, match="needs a map"):
            compiled(f"result.{attribute}").value({"result": result})
    assert compiled(f"result.{attribute}").value({"result": {"a": 1}}) is None


@given(st.text(alphabet="result[]().#,{}'&|!<>=+-*/% 0123456789aniNlé\"\\?:", max_size=60))
@settings(max_examples=300)
def test_any_text_gives_a_plain_value_or_an_error_of_ours(text: str) -> None:
    found = answer(text, [1.0, {"a": None}])
    assert found is ExpressionError or found is None or isinstance(found, bool | int | float | str | list | dict)


@pytest.mark.parametrize(
    ("success", "failure", "value", "phase"),
    [
        ("result[0] >= 0.95", None, [0.99], "Successful"),
        ("result[0] >= 0.95", None, [0.90], "Failed"),
        (None, "result > 1", 2, "Failed"),
        (None, "result > 1", 1, "Successful"),
        ("result < 1", "result > 5", 3, "Inconclusive"),
        ("result < 9", "result > 5", 7, "Failed"),
        (None, None, 3, "Successful"),
        ("result", None, 3, "Error"),
        ("result[0] < 1", None, [], "Error"),
        ("all(result, # < 1)", None, [], "Error"),
        ("len(result) == 0 || result[0] < 1", None, [], "Successful"),
        ("default(result, 0) < 1", None, None, "Successful"),
        ("result < 1", None, None, "Error"),
        ("result < 1", None, math.nan, "Error"),
        ("result < 0.05 || isNaN(result)", None, math.nan, "Successful"),
        (None, "result > 1", math.nan, "Error"),
        (None, None, [], "Error"),
        ("result[0] < 1", None, [0.1, math.nan], "Error"),
    ],
)
def test_conditions_and_the_measurement_without_a_value(
    success: str | None, failure: str | None, value: Any, phase: str
) -> None:
    assert conditions(success, failure).assess(value)[0] == phase


@pytest.mark.parametrize("value", [None, [], math.nan, [math.nan], {}])
@pytest.mark.parametrize("policy", ["Error", "Inconclusive", "Failed"])
def test_a_policy_for_no_data_goes_before_the_conditions(value: Any, policy: Any) -> None:
    found, said = conditions("len(result) == 0 || isNaN(result)", None, policy).assess(value)
    assert found == policy
    assert said.startswith("no data: ")


def test_an_error_names_the_expression_the_value_and_what_would_be_right() -> None:
    _, said = conditions("result[3] > 1", None).assess([0.5])
    assert said == "'result[3] > 1' of [0.5]: there is no element 3: the list has 1; check len(result) first"
