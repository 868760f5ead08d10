"""A Deployment's selector cannot change: one that needs another selector gets a successor under another name.

Seldon Core v1 deletes and recreates the Deployment, which is an outage. Here the successor serves first; the old one
is then retired like anything else that is no longer wanted.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.deployment.drift import signed
from controller.deployment.names import successor
from controller.deployment.observed import Observed, is_ending
from controller.deployment.render import Desired, PredictorObjects

Object = dict[str, Any]


def succeed(desired: Desired, observed: Observed) -> Desired:
    """Return what is desired, with the names that Deployments must have beside those that are live."""
    return replace(
        desired,
        predictors=tuple(_predictor(each, observed) for each in desired.predictors),
        explainers=tuple(succeed(each, observed) for each in desired.explainers),
    )


def _predictor(predictor: PredictorObjects, observed: Observed) -> PredictorObjects:
    names = {each["metadata"]["name"]: _name(each, observed) for each in predictor.deployments}
    if all(old == new for old, new in names.items()):
        return predictor
    return replace(
        predictor,
        deployments=tuple(signed(_deployment(each, names)) for each in predictor.deployments),
        autoscalers=tuple(signed(_autoscaler(each, names)) for each in predictor.autoscalers),
        budgets=tuple(signed(_named(each, names)) for each in predictor.budgets),
    )


def _name(deployment: Object, observed: Observed) -> str:
    """Return the name under which a Deployment of this selector is live, else a free one."""
    name = str(deployment["metadata"]["name"])
    selector = deployment["spec"]["selector"]["matchLabels"]
    other = successor(name, selector)
    for candidate in (name, other):
        live = observed.objects.get(("Deployment", candidate))
        if live is not None and not is_ending(live) and live["spec"]["selector"].get("matchLabels") == selector:
            return candidate
    return other if ("Deployment", name) in observed.objects else name


def _named(obj: Object, names: Mapping[str, str]) -> Object:
    name = names[obj["metadata"]["name"]]
    return {**obj, "metadata": {**obj["metadata"], "name": name}}


def _deployment(obj: Object, names: Mapping[str, str]) -> Object:
    done = _named(obj, names)
    name = done["metadata"]["name"]
    template = obj["spec"]["template"]
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], "app": name}}
    done["metadata"] = {**done["metadata"], "labels": {**done["metadata"]["labels"], "app": name}}
    done["spec"] = {**obj["spec"], "template": {**template, "metadata": metadata}}
    return done


def _autoscaler(obj: Object, names: Mapping[str, str]) -> Object:
    done = _named(obj, names)
    target = {**obj["spec"]["scaleTargetRef"], "name": done["metadata"]["name"]}
    return {**done, "spec": {**obj["spec"], "scaleTargetRef": target}}
