"""The JSONPath of printer columns: `.a.b`, `['a.b']`, `[0]`, `[*]`, and `[?(@.type=="Ready")]`."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from localcluster.apiserver.kinds import Column

JsonObject = dict[str, Any]
Step = tuple[str, Any]

_ONE = frozenset({"integer", "number", "boolean", "date"})
"""Types of columns that show the first value alone."""

_STEP = re.compile(
    r"\.(?P<field>[^.\[\]]+)"
    r"|\[['\"](?P<quoted>[^'\"]+)['\"]\]"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<all>\*)\]"
    r"|\[\?\(@\.(?P<key>[^=!<>]+?)\s*(?P<sign>==|!=)\s*['\"]?(?P<value>[^'\")]*)['\"]?\)\]"
)


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path. Raises ValueError naming what is not understood."""
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if not text.startswith((".", "[")):
        text = "." + text
    text = re.sub(r"\\\.", "\0", text)
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"JSONPath {path!r}: cannot read {text[at:]!r}")
        if found["field"] or found["quoted"]:
            steps.append(("field", (found["field"] or found["quoted"]).replace("\0", ".")))
        elif found["index"]:
            steps.append(("index", int(found["index"])))
        elif found["all"]:
            steps.append(("all", None))
        else:
            steps.append(("filter", (tuple(found["key"].split(".")), found["sign"] == "==", found["value"])))
        at = found.end()
    return tuple(steps)


def values(obj: JsonObject, path: str) -> list[Any]:
    """Everything that a path reaches."""
    found: list[Any] = [obj]
    for kind, what in parse(path):
        reached: list[Any] = []
        for value in found:
            reached.extend(_step(value, kind, what))
        found = reached
    return found


def _step(value: Any, kind: str, what: Any) -> list[Any]:
    match kind:
        case "field":
            if what == "*":
                return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
            return [value[what]] if isinstance(value, dict) and what in value else []
        case "index":
            return [value[what]] if isinstance(value, list) and -len(value) <= what < len(value) else []
        case "all":
            return list(value) if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        case _:
            key, equal, wanted = what
            return (
                [item for item in value if (_text(_deep(item, key)) == wanted) == equal]
                if isinstance(value, list)
                else []
            )


def _deep(value: Any, key: tuple[str, ...]) -> Any:
    for name in key:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return "" if value is None else str(value)


def reader(column: Column, now: datetime) -> Callable[[JsonObject], Any]:
    """What gives one column's cells, row by row; None where an object has nothing to show."""
    path = column.cell
    if callable(path):
        return path
    names, kind = _fields(path), column.type
    if names is None:
        return lambda obj: _all_shown(kind, values(obj, path), now)

    def cell(obj: JsonObject) -> Any:
        value: Any = obj
        for name in names:
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        return _shown(kind, value, now)

    return cell


def _fields(path: str) -> tuple[str, ...] | None:
    """The names in a path of nothing but names, which most are and which are read ten times as fast."""
    steps = parse(path)
    return tuple(what for _, what in steps) if all(kind == "field" and what != "*" for kind, what in steps) else None


def _all_shown(kind: str, found: list[Any], now: datetime) -> Any:
    if kind in _ONE or len(found) < 2 or found[0] is None:
        return _shown(kind, found[0], now) if found else None
    return ",".join(_text(value) for value in found)


def _shown(kind: str, value: Any, now: datetime) -> Any:
    if kind in ("integer", "number"):
        return value if isinstance(value, (int, float)) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if value is None:
        return None
    return age(value, now) if kind == "date" else _text(value)


def age(stamp: Any, now: datetime) -> str:
    """The time since a time stamp as kubectl shows it: 42s, 5m12s, 3h, 12d, 2y."""
    try:
        then = datetime.fromisoformat(str(stamp))
    except ValueError:
        return "<unknown>"
    return duration(int((now - then).total_seconds()))


def duration(seconds: int) -> str:
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years, rest = days // 365, days % 365
    if days < 365 * 8:
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"
