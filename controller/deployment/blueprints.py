"""Blueprints: what is rendered for a SeldonDeployment, kept while neither it nor the configuration changes.

Most passes are woken by a pod or a status: what they compare the cluster with is what the pass before compared it with.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.deployment.advice import advise
from controller.deployment.configuration import Configuration
from controller.deployment.defaults import complete
from controller.deployment.render import Desired, render
from controller.deployment.subject import Subject
from controller.deployment.validation import Problem, check, parse

KEPT = 128
"""Blueprints that are kept, 34 KiB for a simple one: those in motion; the many at rest cost no memory."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A SeldonDeployment, read and completed, and what should exist for it.

    Args:
        subject: as it is completed.
        rendered: what should exist for it.
        advice: what its writer should know.
    """

    subject: Subject
    rendered: Desired
    advice: tuple[str, ...]


Read = Blueprint | tuple[Problem, ...]


def read(raw: Mapping[str, Any], configuration: Configuration) -> Read:
    """Return what should exist for an object of the API, or what of it cannot be done."""
    subject = parse(raw)
    if not isinstance(subject, Subject):
        return subject
    problems = tuple(check(subject, configuration))
    if problems:
        return problems
    completed = complete(subject, configuration)
    return Blueprint(completed, render(completed, configuration), advise(subject))


class Blueprints:
    """Remembers what was read last, by uid."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[str, tuple[tuple[Any, ...], Read]] = OrderedDict()

    def of(self, raw: Mapping[str, Any], configuration: Configuration) -> Read:
        """Return `read(raw, configuration)`, which depends on the spec, the labels and the annotations alone.

        And on the generation, which a spec has anew when it is changed and changed back between two looks.
        """
        metadata = raw["metadata"]
        uid = metadata["uid"]
        generation, labels, annotations = (metadata.get(each) for each in ("generation", "labels", "annotations"))
        said = (generation, raw.get("spec"), labels, annotations, configuration)
        known = self._known.get(uid)
        if known is None or known[0] != said:
            known = self._known[uid] = said, read(raw, configuration)
        self._known.move_to_end(uid)
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        return known[1]
