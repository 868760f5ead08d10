"""CEL rules see what they read, and what did not change is not judged again."""

import pytest

from localcluster.apiserver.cel_rules import CelRules


def _rules(rule: str, **more) -> CelRules:
    return CelRules(
        {
            "type": "object",
            "properties": {
                "metadata": {"type": "object"},
                "spec": {
                    "type": "object",
                    "properties": {"size": {"type": "number"}, "limit": {"type": "number"}, "note": {"type": "string"}},
                    "x-kubernetes-validations": [{"rule": rule, "message": "too much", **more}],
                },
            },
        }
    )


SMALL, LARGE = {"spec": {"size": 1, "limit": 2}}, {"spec": {"size": 3, "limit": 2}}


@pytest.mark.parametrize(
    ("rule", "old", "new", "broken"),
    [
        ("self.size <= self.limit", None, SMALL, False),
        ("self.size <= self.limit", None, LARGE, True),
        ("self.size <= self.limit", LARGE, {**LARGE, "status": {}}, False),  # it was stored before the rule was there
        ("self.size <= self.limit", LARGE, {"spec": {**LARGE["spec"], "note": "x"}}, True),
        ("self.size > oldSelf.size", SMALL, LARGE, False),
        ("self.size > oldSelf.size", SMALL, {**SMALL, "status": {}}, True),  # the change itself is judged each time
        ("self.all(name, name != 'note')", None, {"spec": {"note": "x"}}, True),  # reads all of it
        ("!has(self.note) || self.size < 2.5", None, {"spec": {"note": "x", "size": 2}}, False),
    ],
)
def test_a_rule(rule, old, new, broken) -> None:
    assert bool(_rules(rule).causes(new, old)) == broken


def test_a_message_may_read_other_fields_than_its_rule() -> None:
    rules = _rules("self.size < 2.0", messageExpression="'too large: ' + self.note")
    (cause,) = rules.causes({"spec": {"size": 3, "note": "shrink it"}}, None)
    assert "too large: shrink it" in cause.message


def test_of_the_metadata_a_rule_sees_the_names_alone() -> None:
    rules = CelRules({"type": "object", "x-kubernetes-validations": [{"rule": "!has(self.metadata.labels)"}]})
    assert rules.causes({"metadata": {"name": "a", "labels": {"x": "y"}}}, None) == []
