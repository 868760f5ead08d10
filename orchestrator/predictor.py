"""The predictor to serve, as JSON: out of the environment, as the operator renders it, or out of a manifest."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from orchestrator.errors import SettingsError


def from_environment(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The predictor of ENGINE_PREDICTOR. Raises SettingsError."""
    text = environment.get("ENGINE_PREDICTOR")
    if not text:
        raise SettingsError("ENGINE_PREDICTOR is not set and no --file is given: there is no graph to serve")
    try:
        predictor = orjson.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise SettingsError(
            f"ENGINE_PREDICTOR: not valid; expected the base64 of a predictor's JSON: {error}"
        ) from None
    if not isinstance(predictor, dict):
        raise SettingsError("ENGINE_PREDICTOR: not valid; expected the base64 of a JSON object")
    return predictor


def from_file(path: Path, name: str) -> Mapping[str, Any]:
    """The predictor of this name in a file of SeldonDeployments. Raises SettingsError."""
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"--file: {str(path)!r} cannot be read: {error}") from error
    names: list[str] = []
    for document in documents:
        spec = document.get("spec") if isinstance(document, dict) else None
        for predictor in (spec.get("predictors") or []) if isinstance(spec, dict) else []:
            if isinstance(predictor, dict):
                if predictor.get("name") == name:
                    return predictor
                names.append(str(predictor.get("name")))
    raise SettingsError(f"--predictor: {name!r} is not in {str(path)!r}; it has {', '.join(names) or 'no predictor'}")
