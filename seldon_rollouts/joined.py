"""Joined: a rollout with what it names in the same files: templates, gateways, a VirtualService. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from controller.api.analysis import AnalysisTemplateSpec, TemplateRef
from controller.api.faults import faults
from controller.api.joining import JoinError, MissingTemplateError, join
from controller.api.rollout import SeldonRollout
from controller.api.templates import FromTemplates
from controller.rollout import arguments
from seldon_rollouts.documents import Document

Path = tuple[str | int, ...]
_FIELDS = ("templates", "args", "dryRun", "measurementRetention")


class Found(NamedTuple):
    """What is wrong, and at which field of the rollout."""

    path: Path
    message: str
    warning: bool = False


def looked_at(
    document: Document,
    rollout: SeldonRollout,
    templates: Mapping[TemplateRef, AnalysisTemplateSpec],
    others: Sequence[Document],
) -> Iterator[Found]:
    """Hold a rollout against the templates and the other objects of its files.

    What it names is looked for only where the files have something of that kind: the rest may be in the cluster.
    """
    spec = document.object.get("spec") or {}
    named = [*_named(spec.get("strategy"), ("spec", "strategy")), *_named(spec.get("analysis"), ("spec", "analysis"))]
    for path, analysis in named if templates else ():
        yield from _run(document, path, analysis, templates)
    yield from _gateways(rollout, [one for one in others if one.kind == "Gateway"])
    yield from _virtual_service(document, rollout, [one for one in others if one.kind == "VirtualService"])


def _named(value: Any, path: Path) -> Iterator[tuple[Path, FromTemplates]]:
    """Yield whatever names templates, with its place."""
    if isinstance(value, dict):
        if isinstance(value.get("templates"), list):
            yield path, FromTemplates.model_validate({key: value[key] for key in _FIELDS if key in value})
        for key, below in value.items():
            yield from _named(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _named(below, (*path, index))


def _run(
    document: Document, path: Path, analysis: FromTemplates, templates: Mapping[TemplateRef, AnalysisTemplateSpec]
) -> Iterator[Found]:
    """Make the run that the rollout would."""
    try:
        whole = join(
            analysis.templates,
            templates.get,
            analysis.args,
            dry_run=analysis.dry_run,
            retention=analysis.measurement_retention,
        )
        for one in whole.args:
            if one.value_from is not None and one.value_from.field_ref is not None:
                arguments.field(document.object, one.value_from.field_ref.field_path, one.name)
        endless = arguments.endless(whole)
    except MissingTemplateError as error:
        yield Found((*path, "templates"), f"{error}; it is not in these files", warning=True)
        return
    except ValidationError as error:
        yield Found(path, str(next(faults(error, path))))
        return
    except JoinError as error:
        yield Found(path, str(error))
        return
    if endless and path != ("spec", "analysis"):
        yield Found(path, f"metric {endless!r} has an interval and no count: a step would wait for it for ever")


def _gateways(rollout: SeldonRollout, gateways: Sequence[Document]) -> Iterator[Found]:
    known = {f"{_namespace(one)}/{one.name}" for one in gateways} | {one.name for one in gateways}
    for index, name in enumerate(rollout.spec.routing.gateways if gateways else ()):
        if name != "mesh" and name not in known:
            said = f"Gateway {name!r} is not in these files; they have {', '.join(sorted(known))}"
            yield Found(("spec", "routing", "gateways", index), said, warning=True)


def _virtual_service(document: Document, rollout: SeldonRollout, services: Sequence[Document]) -> Iterator[Found]:
    own = rollout.spec.routing.virtual_service
    if own is None or not services:
        return
    path = ("spec", "routing", "virtualService")
    live = next((one for one in services if (one.name, _namespace(one)) == (own.name, _namespace(document))), None)
    if live is None:
        yield Found(path, f"VirtualService {own.name!r} is not in these files", warning=True)
        return
    routes = (live.object.get("spec") or {}).get("http") or ()
    known = Counter(str(each.get("name", "")) for each in routes if isinstance(each, dict))
    for name in (*own.routes, *own.grpc_routes):
        if known[name] != 1:
            found = "several HTTP routes" if known[name] else "no HTTP route"
            have = ", ".join(sorted(filter(None, known))) or "none with a name"
            yield Found(path, f"VirtualService {own.name!r} has {found} named {name!r}; it has {have}")


def _namespace(document: Document) -> str:
    return str((document.object.get("metadata") or {}).get("namespace") or "")
