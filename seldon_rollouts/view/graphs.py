"""Graphs: the nodes of a SeldonDeployment, as they can be drawn."""

from collections.abc import Iterable, Mapping
from typing import Any

from seldon_rollouts.view.base import View


class Node(View):
    """One node of an inference graph."""

    name: str
    type: str
    """MODEL, ROUTER, COMBINER, TRANSFORMER, OUTPUT_TRANSFORMER; empty where the implementation says it."""
    implementation: str
    image: str
    """The image of its own container; empty for prepackaged servers."""
    model_uri: str
    children: tuple["Node", ...] = ()


class Predictor(View):
    """One predictor of a SeldonDeployment."""

    name: str
    replicas: int
    shadow: bool
    graph: Node


def predictors(spec: Mapping[str, Any]) -> tuple[Predictor, ...]:
    """Return the predictors of a SeldonDeployment's spec; what is no predictor is left out."""
    found = (each for each in spec.get("predictors") or () if isinstance(each, Mapping))
    return tuple(
        Predictor(
            name=str(each.get("name", "")),
            replicas=int(each.get("replicas") or spec.get("replicas") or 1),
            shadow=bool(each.get("shadow")),
            graph=_node(each["graph"], _images(each)),
        )
        for each in found
        if isinstance(each.get("graph"), Mapping)
    )


def models(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a SeldonDeployment serves: the model URIs of its graphs, or the images where there are none."""

    def of(node: Node) -> Iterable[str]:
        yield from filter(None, [node.model_uri or node.image])
        for child in node.children:
            yield from of(child)

    return tuple(dict.fromkeys(found for each in predictors(spec) for found in of(each.graph)))


def _images(predictor: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the images of a predictor's containers, by the container's name, which is its node's."""
    containers = (
        container
        for component in predictor.get("componentSpecs") or ()
        for container in ((component or {}).get("spec") or {}).get("containers") or ()
    )
    return {str(each["name"]): str(each.get("image", "")) for each in containers if each.get("name")}


def _node(node: Mapping[str, Any], images: Mapping[str, str]) -> Node:
    name = str(node.get("name", ""))
    return Node(
        name=name,
        type=str(node.get("type") or ""),
        implementation=str(node.get("implementation") or ""),
        image=images.get(name, ""),
        model_uri=str(node.get("modelUri") or ""),
        children=tuple(_node(child, images) for child in node.get("children") or () if isinstance(child, Mapping)),
    )
