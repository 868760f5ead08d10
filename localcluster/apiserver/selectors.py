"""Label and field selectors: parsed once, then asked for each object."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from localcluster.apiserver.errors import bad_request

JsonObject = dict[str, Any]
Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<key1>{_KEY})"
    rf"|(?P<key2>{_KEY})\s+(?P<op>in|notin)\s*\((?P<set>[^)]*)\)"
    rf"|(?P<key3>{_KEY})\s*(?P<eq>==|!=|=|>|<)\s*(?P<value>{_VALUE})"
    rf"|(?P<key4>{_KEY}))\s*(?:,|$)"
)


class Selector:
    """A conjunction of requirements on labels. Empty: everything matches."""

    __slots__ = ("tests",)

    def __init__(self, tests: tuple[LabelTest, ...]) -> None:
        self.tests = tests

    def matches(self, labels: Labels | None) -> bool:
        return all(test(labels or {}) for test in self.tests)

    def __bool__(self) -> bool:
        return bool(self.tests)


EVERYTHING = Selector(())


@lru_cache(maxsize=4096)
def labels(text: str) -> Selector:
    """Parses `a=b,c!=d,e in (f,g),!h,i`. Raises ApiError 400."""
    tests: list[LabelTest] = []
    at = 0
    while at < len(text):
        found = _REQUIREMENT.match(text, at)
        if found is None or found.end() == at:
            where = f"found {text[at:]!r} in label selector {text!r}"
            raise bad_request(f"unable to parse requirement: {where}, expected: key, key=value, key in (a,b)")
        tests.append(_requirement(found))
        at = found.end()
    return Selector(tuple(tests))


def _requirement(found: "re.Match[str]") -> LabelTest:
    if found["absent"]:
        return _absent(found["key1"])
    if found["key2"]:
        values = frozenset(value.strip() for value in found["set"].split(","))
        return _within(found["key2"], values, found["op"] == "in")
    if found["key3"]:
        if found["eq"] in "<>":
            return _compares(found["key3"], found["eq"], found["value"])
        return _within(found["key3"], frozenset([found["value"]]), found["eq"] != "!=")
    return _present(found["key4"])


def _absent(key: str) -> LabelTest:
    return lambda found: key not in found


def _present(key: str) -> LabelTest:
    return lambda found: key in found


def _within(key: str, values: frozenset[str], wanted: bool) -> LabelTest:
    if wanted:
        return lambda found: found.get(key) in values
    return lambda found: found.get(key) not in values


def _compares(key: str, sign: str, value: str) -> LabelTest:
    try:
        limit = int(value)
    except ValueError:
        raise bad_request(
            f"label selector {key}{sign}{value}: for 'Gt', 'Lt' operators, the value must be an integer"
        ) from None

    def test(found: Labels) -> bool:
        try:
            number = int(found[key])
        except (KeyError, ValueError):
            return False
        return number > limit if sign == ">" else number < limit

    return test


def from_object(selector: JsonObject | None) -> Selector:
    """A `metav1.LabelSelector` (matchLabels, matchExpressions). None or {} selects everything."""
    tests: list[LabelTest] = []
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        tests.append(_within(key, frozenset([value]), True))
    for requirement in (selector or {}).get("matchExpressions") or ():
        key, operator = requirement["key"], requirement["operator"]
        values = frozenset(requirement.get("values") or ())
        match operator:
            case "In" | "NotIn":
                tests.append(_within(key, values, operator == "In"))
            case "Exists":
                tests.append(_present(key))
            case "DoesNotExist":
                tests.append(_absent(key))
            case _:
                raise bad_request(f'"{operator}" is not a valid label selector operator')
    return Selector(tuple(tests))


ALWAYS_SELECTABLE = frozenset({"metadata.name", "metadata.namespace"})


class FieldSelector:
    """Requirements on fields: (path, value, wanted equal)."""

    __slots__ = ("terms",)

    def __init__(self, terms: tuple[tuple[tuple[str, ...], str, bool], ...]) -> None:
        self.terms = terms

    def matches(self, obj: JsonObject) -> bool:
        return all((_at(obj, path) == value) == equal for path, value, equal in self.terms)

    def name(self) -> str | None:
        """The one name that can match, when the selector asks for one: such a list is a get."""
        return next((value for path, value, equal in self.terms if equal and path == ("metadata", "name")), None)

    def __bool__(self) -> bool:
        return bool(self.terms)


ANY_FIELD = FieldSelector(())


def fields(text: str, allowed: frozenset[str], group_version: str, kind: str) -> FieldSelector:
    """Parses `metadata.name=x,status.phase!=Running`. Raises ApiError 400 for a field that cannot be selected by."""
    terms: list[tuple[tuple[str, ...], str, bool]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        name, sign, value = found[1].strip(), found[2], found[3].strip()
        if name not in allowed and len(allowed) == len(ALWAYS_SELECTABLE):
            raise bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        if name not in allowed:
            raise bad_request(
                f'Unable to find "{group_version}, Kind={kind}" that match label selector "", field selector "{text}": '
                f"field label not supported: {name}"
            )
        terms.append((tuple(name.split(".")), value, sign != "!="))
    return FieldSelector(tuple(terms))


def _at(obj: JsonObject, path: tuple[str, ...]) -> str:
    value: Any = obj
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
