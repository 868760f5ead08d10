"""Conversion: a SeldonRollout out of a SeldonDeployment, an Argo Rollout and its templates, or a Flagger Canary. Pure.

Field names of both are facts of their APIs. What has no counterpart is said and left out, never guessed.
"""

from collections.abc import Callable, Iterable, Mapping

from seldon_rollouts.conversion.argo import from_argo, from_template
from seldon_rollouts.conversion.flagger import from_flagger
from seldon_rollouts.conversion.result import ConversionError, Converted, Object
from seldon_rollouts.conversion.seldon import from_seldon_deployment

_READERS: Mapping[tuple[str, str], Callable[[Object, Mapping[tuple[str, str], Object]], Converted]] = {
    ("machinelearning.seldon.io", "SeldonDeployment"): from_seldon_deployment,
    ("argoproj.io", "Rollout"): from_argo,
    ("argoproj.io", "AnalysisTemplate"): from_template,
    ("argoproj.io", "ClusterAnalysisTemplate"): from_template,
    ("flagger.app", "Canary"): from_flagger,
}
WANTED = "a SeldonDeployment, an Argo Rollout or AnalysisTemplate (argoproj.io) or a Flagger Canary (flagger.app)"


def convert(documents: Iterable[Object]) -> list[Converted]:
    """Convert each document that can be; the others are looked at only for what these refer to.

    Raises:
        ConversionError: there is nothing to convert, or one refers to what is not among the documents.
    """
    every = list(documents)
    others = {(str(each.get("kind")), _name(each)): each for each in every}
    made = [_READERS[key](each, others) for each in every if (key := _key(each)) in _READERS]
    if not made:
        kinds = ", ".join(sorted({str(each.get("kind")) for each in every})) or "nothing"
        raise ConversionError(f"found {kinds}; expected {WANTED}")
    return made


def _key(obj: Object) -> tuple[str, str]:
    return str(obj.get("apiVersion", "")).partition("/")[0], str(obj.get("kind", ""))


def _name(obj: Object) -> str:
    return str((obj.get("metadata") or {}).get("name", ""))


__all__ = ["ConversionError", "Converted", "convert"]
