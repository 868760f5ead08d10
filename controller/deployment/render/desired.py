"""All that should exist for a SeldonDeployment, and what of it makes up each predictor."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from controller.api.deployment import PredictorSpec
from controller.deployment.configuration import Configuration
from controller.deployment.drift import signed
from controller.deployment.names import service_of
from controller.deployment.render.authorizationpolicies import render_authorization_policy
from controller.deployment.render.autoscalers import render_autoscaler
from controller.deployment.render.budgets import render_budget
from controller.deployment.render.deployments import engine_apart, is_autoscaled, render_component, render_engine
from controller.deployment.render.destinations import render_destination
from controller.deployment.render.explainers import (
    explainer_of,
    render_explainer_deployment,
    render_explainer_destination,
    render_explainer_route,
    render_explainer_service,
)
from controller.deployment.render.peerauthentications import render_peer_authentication
from controller.deployment.render.routes import render_route
from controller.deployment.render.scaledobjects import render_scaled_object
from controller.deployment.render.services import render_containers, render_predictor
from controller.deployment.subject import Subject

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorObjects:
    """What is rendered for one predictor."""

    name: str
    shadow: bool
    service: Object
    """By which it is reached from the mesh."""
    services: tuple[Object, ...]
    """By which its nodes are reached."""
    deployments: tuple[Object, ...]
    autoscalers: tuple[Object, ...]
    """HorizontalPodAutoscalers and KEDA's ScaledObjects."""
    budgets: tuple[Object, ...]
    destination: Object | None
    """Its DestinationRule, when there is a mesh."""

    @property
    def host(self) -> str:
        """Under which routes name its Service; empty where there is no mesh."""
        return str(self.destination["spec"]["host"]) if self.destination else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What is rendered for a SeldonDeployment, or for the explainer of one of its predictors.

    An explainer is like a SeldonDeployment of one predictor with a route of its own: nobody waits for it but its route.
    """

    predictors: tuple[PredictorObjects, ...]
    route: Object | None
    """The VirtualService, when it has one."""
    explainers: tuple["Desired", ...] = ()
    explains: str = ""
    """Of an explainer: the predictor's Service."""
    policies: tuple[Object, ...] = ()
    """Who of the mesh may ask its pods: AuthorizationPolicy and PeerAuthentication."""

    def parts(self) -> Iterator["Desired"]:
        """Walk itself and its explainers: what is routed separately."""
        yield self
        yield from self.explainers

    @property
    def deployments(self) -> tuple[Object, ...]:
        """All Deployments, in the order of the spec; those of explainers last."""
        return tuple(each for part in self.parts() for predictor in part.predictors for each in predictor.deployments)

    def objects(self) -> tuple[Object, ...]:
        """All objects, in the order in which they may be created."""
        return tuple(each for part in self.parts() for each in part._own())  # noqa: SLF001 - one class

    def _own(self) -> tuple[Object, ...]:
        done: list[Object] = [*self.policies]
        for predictor in self.predictors:
            done += [*predictor.services, predictor.service]
        for predictor in self.predictors:
            done += [*predictor.deployments, *predictor.autoscalers, *predictor.budgets]
        done += [predictor.destination for predictor in self.predictors if predictor.destination]
        return (*done, self.route) if self.route else tuple(done)


def render(subject: Subject, configuration: Configuration) -> Desired:
    """Return everything that should exist for a SeldonDeployment that `defaults.complete` has completed.

    Each object carries the hash of what it says.
    """
    route = render_route(subject, configuration) if configuration.istio else None
    desired = Desired(
        predictors=tuple(_predictor(subject, each, configuration) for each in subject.spec.predictors),
        route=signed(route) if route else None,
        explainers=tuple(
            found for each in subject.spec.predictors if (found := _explainer(subject, each, configuration))
        ),
    )
    return replace(desired, policies=_policies(subject, desired, configuration)) if configuration.istio else desired


def _policies(subject: Subject, desired: Desired, configuration: Configuration) -> tuple[Object, ...]:
    """What anybody may do is said before it is demanded that everybody be of the mesh."""
    together = (
        [each for part in desired.parts() for one in part.predictors if one.name == name for each in one.deployments]
        for name in (each.name for each in desired.predictors)
    )
    callers = [each for group in together if len(group) > 1 for each in group]
    policy = render_authorization_policy(subject, desired.deployments, callers, configuration)
    return _signed((policy, render_peer_authentication(subject, desired.deployments, configuration)))


def _explainer(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> Desired | None:
    explainer = explainer_of(predictor)
    if explainer is None:
        return None
    route = render_explainer_route(subject, predictor, explainer, configuration) if configuration.istio else None
    rule = render_explainer_destination(subject, predictor, configuration) if configuration.istio else None
    objects = PredictorObjects(
        name=predictor.name,
        shadow=False,
        service=signed(render_explainer_service(subject, predictor, explainer)),
        services=(),
        deployments=(signed(render_explainer_deployment(subject, predictor, explainer, configuration)),),
        autoscalers=(),
        budgets=(),
        destination=signed(rule) if rule else None,
    )
    explains = service_of(subject.name, predictor)
    return Desired(predictors=(objects,), route=signed(route) if route else None, explains=explains)


def _predictor(subject: Subject, predictor: PredictorSpec, configuration: Configuration) -> PredictorObjects:
    components = [
        (component, render_component(subject, predictor, index, configuration))
        for index, component in enumerate(predictor.component_specs)
    ]
    deployments = [deployment for _, deployment in components]
    if engine_apart(subject, predictor):
        deployments.append(render_engine(subject, predictor, configuration))
    autoscalers, budgets = [], []
    for component, deployment in components:
        name = deployment["metadata"]["name"]
        if is_autoscaled(subject, predictor, component):
            scaler = render_scaled_object(subject, component, name) or render_autoscaler(subject, component, name)
            autoscalers.append(scaler)
        budgets.append(render_budget(subject, component, name, deployment["spec"]["selector"]["matchLabels"]))
    services = render_containers(subject, predictor)
    service = render_predictor(subject, predictor, configuration)
    return PredictorObjects(
        name=predictor.name,
        shadow=predictor.shadow,
        service=signed(service),
        services=_signed(each for each in services if each["metadata"]["name"] != service["metadata"]["name"]),
        deployments=_signed(deployments),
        autoscalers=_signed(autoscalers),
        budgets=_signed(budgets),
        destination=signed(render_destination(subject, predictor, configuration)) if configuration.istio else None,
    )


def _signed(objects: Iterable[Object | None]) -> tuple[Object, ...]:
    return tuple(signed(each) for each in objects if each)
