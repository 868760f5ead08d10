"""Renders what follows from the models: `python -m controller.api.schema [crds|rbac|docs]`; --check only compares."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from controller.api import rbac, reference
from controller.api.crds import KINDS, definition

ROOT = Path(__file__).resolve().parents[2]
_HEADER = "# Rendered from controller/api by `make crds`; edit the models instead.\n"


_DEEP = 20
"""What is nested deeper than this is written on one line: indentation would be most of a recursive schema."""


class _Inline(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Never writes an alias: not every reader of manifests follows them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Inline, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)
)


def to_yaml(value: Any) -> str:
    """Return one YAML document, keys in the order given."""
    return yaml.dump(_inline(value, 0), Dumper=_Dumper, sort_keys=False, width=1_000_000, allow_unicode=True)


def _inline(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_inline(item, depth) for item in value]
    if not isinstance(value, dict):
        return value
    if depth > _DEEP:
        return _Inline(value)
    return {key: _inline(item, depth + 1) for key, item in value.items()}


def crd_files() -> Mapping[str, str]:
    """Return the files of `crds/`, by their path from the repository's root."""
    files = {f"crds/{kind.file}": _HEADER + to_yaml(definition(kind)) for kind in KINDS}
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [kind.file for kind in KINDS],
    }
    # Without .yaml, so that `kubectl apply -f crds/` passes it over.
    return files | {"crds/Kustomization": _HEADER + to_yaml(listing)}


def rbac_files() -> Mapping[str, str]:
    """Return the RBAC manifests, by their path from the repository's root."""

    def documents(objects: Sequence[Any]) -> str:
        return _HEADER + "---\n".join(to_yaml(each) for each in objects)

    return {
        "manifests/base/rbac.yaml": documents(rbac.controller_objects()),
        "manifests/base/rbac-people.yaml": documents(rbac.people_objects()),
        "manifests/components/webhook/rbac.yaml": documents(rbac.webhook_objects()),
    }


def doc_files() -> Mapping[str, str]:
    """Return the rendered documents, by their path from the repository's root."""
    return {"docs/reference.md": reference.reference(), "docs/permissions.md": reference.permissions()}


RENDERERS = {"crds": crd_files, "rbac": rbac_files, "docs": doc_files}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with --check name those that are out of step.

    Returns:
        0 when every file is in step (afterwards), 1 when --check found one that is not.
    """
    parser = argparse.ArgumentParser(prog="python -m controller.api.schema", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*RENDERERS, "all"], default="all", help="all when absent")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository's root")
    options = parser.parse_args(arguments)
    stale = False
    for what in RENDERERS if "all" in options.what else options.what:
        for name, text in RENDERERS[what]().items():
            path = options.root / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            stale = True
            if options.check:
                sys.stderr.write(f"{name} is out of step with the models; run `make crds`\n")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
