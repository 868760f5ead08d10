"""The five CustomResourceDefinitions, out of the models: versions, columns, subresources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from controller.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from controller.api.deployment import SeldonDeployment
from controller.api.meta import MACHINELEARNING_GROUP, ROLLOUTS_GROUP
from controller.api.rollout import SeldonRollout
from controller.api.rules import EXTRAS
from controller.api.seen import STALLED
from controller.api.structural import structural

MAX_CRD_BYTES = 200_000
"""Of a definition as kubectl keeps it, JSON in an annotation; all annotations together have 262,144 bytes."""


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`; a wide one is shown by `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where `kubectl scale` and autoscalers read and write."""

    spec: str
    status: str
    selector: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind and how the API serves it. The first version is stored; the older ones have the same fields."""

    model: type[BaseModel]
    group: str
    plural: str
    short: tuple[str, ...]
    versions: tuple[str, ...] = ("v1alpha1",)
    namespaced: bool = True
    columns: tuple[Column, ...] = ()
    scale: Scale | None = None

    @property
    def name(self) -> str:
        """The kind, such as SeldonRollout."""
        return self.model.__name__

    @property
    def file(self) -> str:
        """The name of its file in `crds/`."""
        return f"{self.group}_{self.plural}.yaml"


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_STALLED = f'.status.conditions[?(@.type=="{STALLED}")].reason'

KINDS = (
    Kind(
        model=SeldonDeployment,
        group=MACHINELEARNING_GROUP,
        plural="seldondeployments",
        short=("sdep",),
        versions=("v1", "v1alpha3", "v1alpha2"),
        columns=(
            Column("State", ".status.state"),
            Column("Ready", ".status.readyPredictors", description="Predictors that are ready, of all"),
            Column("Replicas", ".status.replicas", "integer"),
            Column("Traffic", ".status.traffic", description="Percent of the requests by predictor; + is a copy"),
            Column("Description", ".status.description", wide=True),
            Column("URL", ".status.address.url", wide=True),
            _AGE,
        ),
        scale=Scale(spec=".spec.replicas", status=".status.replicas", selector=".status.selector"),
    ),
    Kind(
        model=SeldonRollout,
        group=ROLLOUTS_GROUP,
        plural="seldonrollouts",
        short=("srollout",),
        columns=(
            Column("Phase", ".status.phase"),
            Column("Step", ".status.step", description="The current step, of how many"),
            Column("Weight", ".status.canaryRevision.weight", "number", description="The canary's percent of requests"),
            Column("Stable", ".status.stableRevision.number", "integer"),
            Column("Canary", ".status.canaryRevision.number", "integer"),
            Column("Verdict", ".status.analysis.verdict"),
            Column("Stalled", _STALLED, description="Why it does not go on by itself"),
            Column("Judgeable", ".status.analysis.preflight.ready", description="Can the canary be judged", wide=True),
            Column("Waits", ".status.blockedOn.kind", description="What kind of thing it waits for", wide=True),
            Column("Since", ".status.blockedOn.since", description="Since when it waits", wide=True),
            Column("Message", ".status.message", wide=True),
            _AGE,
        ),
        scale=Scale(spec=".spec.template.spec.replicas", status=".status.replicas", selector=".status.selector"),
    ),
    Kind(
        model=AnalysisTemplate,
        group=ROLLOUTS_GROUP,
        plural="analysistemplates",
        short=("at",),
        columns=(_AGE,),
    ),
    Kind(
        model=ClusterAnalysisTemplate,
        group=ROLLOUTS_GROUP,
        plural="clusteranalysistemplates",
        short=("cat",),
        namespaced=False,
        columns=(_AGE,),
    ),
    Kind(
        model=AnalysisRun,
        group=ROLLOUTS_GROUP,
        plural="analysisruns",
        short=("ar",),
        columns=(
            Column("Phase", ".status.phase"),
            Column("Message", ".status.message", wide=True),
            _AGE,
        ),
    ),
)


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind, as an object for the API."""
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": list(kind.short),
        "categories": ["seldon"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/name": "seldon-rollouts", "app.kubernetes.io/part-of": "seldon-rollouts"},
        },
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, version) for version in kind.versions],
        },
    }


def _version(kind: Kind, version: str) -> dict[str, Any]:
    has_status = "status" in kind.model.model_fields
    result: dict[str, Any] = {"name": version, "served": True, "storage": version == kind.versions[0]}
    if columns := [_column(column) for column in kind.columns]:
        result["additionalPrinterColumns"] = columns
    subresources: dict[str, Any] = {"status": {}} if has_status else {}
    if kind.scale is not None:
        subresources["scale"] = {
            "specReplicasPath": kind.scale.spec,
            "statusReplicasPath": kind.scale.status,
            "labelSelectorPath": kind.scale.selector,
        }
    if subresources:
        result["subresources"] = subresources
    result["schema"] = {"openAPIV3Schema": object_schema(kind)}
    return result


def _column(column: Column) -> Mapping[str, Any]:
    result: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        result["description"] = column.description
    if column.wide:
        result["priority"] = 1
    return result


def object_schema(kind: Kind) -> dict[str, Any]:
    """Return the structural schema of a whole object: the model's, with apiVersion, kind and metadata."""
    schema = structural(kind.model, EXTRAS)
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    schema["properties"] = head | schema["properties"]
    return schema
