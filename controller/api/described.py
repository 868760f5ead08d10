"""A model's JSON schema with the docstrings of its fields as their descriptions.

Pydantic can read them too, but does it whenever a model is loaded, and that is half of what loading all kinds costs.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from controller.api.meta import ApiModel


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of what is accepted, by alias; each field's docstring is its description."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    known = {each.__name__: each for each in _below(ApiModel)}
    for name, definition in ((model.__name__, schema), *schema.get("$defs", {}).items()):
        for alias, text in _told(known[name]).items() if name in known else ():
            if alias in definition.get("properties", {}):
                definition["properties"][alias].setdefault("description", text)
    return schema


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for each in model.__subclasses__():
        yield from _below(each)


def _told(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of a model's fields, by alias; of two, the one nearest to the model."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, ApiModel):
            found |= _docstrings(sys.modules[each.__module__]).get(each.__qualname__, {})
    return {info.alias or name: found[name] for name, info in model.model_fields.items() if name in found}


@cache
def _docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return, by class and field, the texts that stand below the fields in a module."""
    found: dict[str, dict[str, str]] = {}
    for each in ast.parse(inspect.getsource(module)).body:
        if not isinstance(each, ast.ClassDef):
            continue
        texts = found.setdefault(each.name, {})
        for field, below in zip(each.body, each.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = inspect.cleandoc(text)
                case _:
                    continue
    return found
