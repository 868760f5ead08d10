"""Validation: what each rule says, of which field, with which value."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.deployment.configuration import Configuration
from controller.deployment.subject import Subject
from controller.deployment.validation import check, parse
from orchestrator.errors import GraphError
from orchestrator.graph import parse as graphs

SERVER = {"implementation": "SKLEARN_SERVER", "modelUri": "gs://m"}


def _sdep(*predictors: dict[str, Any], name: str = "iris", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ml"}, "spec": {"predictors": list(predictors), **spec}}


def _p(name: str = "p", graph: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "graph": {"name": "m", **SERVER} if graph is None else graph, **more}


def _pod(*names: str, **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, "image": "i"} for name in names]}, **more}


def _deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = {"name": f"n{levels}", "implementation": "SIMPLE_MODEL"}
    return node if levels == 1 else {**node, "children": [_deep(levels - 1)]}


def _problems(raw: dict[str, Any]) -> list[str]:
    subject = parse(raw)
    found = check(subject, Configuration()) if isinstance(subject, Subject) else subject
    return [str(each) for each in found]


TOPICS = {"KAFKA_BROKER": "b:1", "KAFKA_INPUT_TOPIC": "i", "KAFKA_OUTPUT_TOPIC": "o"}


def _env(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _kafka(more: dict[str, Any] | None = None, **values: str) -> dict[str, Any]:
    return _sdep(_p(svcOrchSpec={"env": _env(values)}, **(more or {})), serverType="kafka")


AB = {"name": "ab", "implementation": "RANDOM_ABTEST", "children": [{"name": "a", **SERVER}]}


def _built(implementation: str, children: int, **parameters: tuple[str, str]) -> dict[str, Any]:
    """A built-in with children, and its parameters by name: text and type."""
    said = [{"name": name, "value": value, "type": kind} for name, (value, kind) in parameters.items()]
    below = [{"name": f"c{number}", "implementation": "SIMPLE_MODEL"} for number in range(children)]
    return {"name": "b", "implementation": implementation, "parameters": said, "children": below}


NO_ENGINE = {"seldon.io/no-engine": "true"}
BAD = {
    "no predictor": (_sdep(), "spec.predictors"),
    "no graph": (_sdep({"name": "p"}), "spec.predictors[0].graph"),
    "protocol": (_sdep(_p(), protocol="http"), "spec.protocol: 'http'"),
    "transport": (_sdep(_p(), transport="ftp"), "spec.transport: 'ftp'"),
    "server type": (_sdep(_p(), serverType="mq"), "spec.serverType: 'mq'"),
    "two predictors of one name": (_sdep(_p(traffic=50), _p(traffic=50)), "spec.predictors[0].name: 'p'"),
    "kafka without a broker": (
        _kafka(KAFKA_INPUT_TOPIC="i", KAFKA_OUTPUT_TOPIC="o"),
        "spec.predictors[0].svcOrchSpec.env[KAFKA_BROKER]: None is not valid; expected a value",
    ),
    "kafka without anything to read": (
        _kafka(KAFKA_BROKER="b:1", KAFKA_OUTPUT_TOPIC="o"),
        "spec.predictors[0].svcOrchSpec.env[KAFKA_INPUT_TOPIC]: None",
    ),
    "kafka without a topic for answers": (
        _kafka(KAFKA_BROKER="b:1", KAFKA_INPUT_TOPIC="i", KAFKA_OUTPUT_TOPIC=""),
        "spec.predictors[0].svcOrchSpec.env[KAFKA_OUTPUT_TOPIC]: None",
    ),
    "kafka that reads its own answers": (
        _kafka(**TOPICS | {"KAFKA_OUTPUT_TOPIC": "i"}),
        "env[KAFKA_OUTPUT_TOPIC]: 'i' is not valid; expected another topic",
    ),
    "kafka between the nodes": (
        _kafka(**TOPICS, KAFKA_FULL_GRAPH="true"),
        "env[KAFKA_FULL_GRAPH]: 'true' is not valid; expected false",
    ),
    "kafka without an orchestrator": (
        _kafka({"annotations": {"seldon.io/no-engine": "true"}}, **TOPICS),
        "annotations[seldon.io/no-engine]: 'true' is not valid; expected an orchestrator",
    ),
    "two predictors that answer the same messages to one topic": (
        _sdep(
            *(_p(name, traffic=50, svcOrchSpec={"env": _env(TOPICS)}) for name in "pq"),
            serverType="kafka",
        ),
        "spec.predictors[1].svcOrchSpec.env[KAFKA_OUTPUT_TOPIC]: 'o' is not valid; expected a topic of its own",
    ),
    "only a shadow": (_sdep(_p(shadow=True)), "spec.predictors[0].shadow"),
    "shadow traffic": (_sdep(_p(), _p("s", shadow=True, traffic=101)), "spec.predictors[1].traffic: 101"),
    "sum of traffic": (_sdep(_p(traffic=50), _p("q", traffic=40)), "'50 + 40'"),
    "part of the traffic for one predictor": (_sdep(_p(traffic=42)), "spec.predictors[0].traffic: 42"),
    "150 alone (upstream lets it pass)": (_sdep(_p(traffic=150)), "spec.predictors[0].traffic: 150"),
    "150 and -50 (upstream lets it pass)": (
        _sdep(_p(traffic=150), _p("q", traffic=-50)),
        "spec.predictors[1].traffic: -50",
    ),
    "two services of one name": (
        _sdep(
            _p(traffic=50, annotations={"seldon.io/svc-name": "s"}),
            _p("q", traffic=50, annotations={"seldon.io/svc-name": "s"}),
        ),
        "annotations[seldon.io/svc-name]: 's'",
    ),
    "no engine for a graph": (
        _sdep(_p(graph={"name": "a", **SERVER, "children": [{"name": "b", **SERVER}]}, annotations=NO_ENGINE)),
        "annotations[seldon.io/no-engine]",
    ),
    "node without container": (_sdep(_p(graph={"name": "m"})), "spec.predictors[0].graph.name: 'm'"),
    "deep node without container": (
        _sdep(_p(graph={"name": "m", **SERVER, "children": [{"name": "x"}]})),
        "spec.predictors[0].graph.children[0].name: 'x'",
    ),
    "unknown type without methods": (
        _sdep(_p(graph={"name": "m", "type": "UNKNOWN_TYPE"}, componentSpecs=[_pod("m")])),
        "spec.predictors[0].graph.type: 'UNKNOWN_TYPE'",
    ),
    "server without model": (
        _sdep(_p(graph={"name": "m", "implementation": "SKLEARN_SERVER"})),
        "spec.predictors[0].graph.modelUri: ''",
    ),
    "server that is not of tensorflow": (_sdep(_p(), protocol="tensorflow"), "implementation: 'SKLEARN_SERVER'"),
    "server that nobody knows": (
        _sdep(_p(graph={"name": "m", "implementation": "X_SERVER", "modelUri": "gs://m"})),
        "MLFLOW_SERVER, SKLEARN_SERVER, TENSORFLOW_SERVER, XGBOOST_SERVER",
    ),
    "logger without mode": (_sdep(_p(graph={"name": "m", **SERVER, "logger": {}})), "graph.logger.mode"),
    "endpoint against transport": (
        _sdep(_p(graph={"name": "a", **SERVER, "endpoint": {"type": "GRPC"}}), transport="rest"),
        "endpoint.type: 'GRPC'",
    ),
    "twelve levels": (_sdep(_p(graph=_deep(12))), "at most 11 levels"),
    "one name twice in a graph": (
        _sdep(_p(graph={"name": "m", **SERVER, "children": [{"name": "m", **SERVER}]})),
        "children[0].name: 'm'",
    ),
    "one container twice": (
        _sdep(_p(graph={"name": "m"}, componentSpecs=[_pod("m"), _pod("m")])),
        "componentSpecs[1].spec.containers[0].name: 'm'",
    ),
    "one child of an A/B test": (_sdep(_p(graph=AB)), "two children"),
    "a router without anything to choose from": (
        _sdep(_p(graph=_built("SIMPLE_ROUTER", 0))),
        "graph.children: 0 is not valid; expected at least one child for SIMPLE_ROUTER",
    ),
    "a ratio that is no share": (
        _sdep(_p(graph=_built("RANDOM_ABTEST", 2, ratioA=("1.5", "FLOAT")))),
        "graph.parameters[0].value: '1.5' is not valid; expected a share from 0 to 1",
    ),
    "a seed that is no whole number": (
        _sdep(_p(graph=_built("THOMPSON_SAMPLING", 2, seed=("0.5", "FLOAT")))),
        "graph.parameters[0].type: 'FLOAT' is not valid; expected INT",
    ),
    "a parameter that has another type than it says": (
        _sdep(_p(graph={"name": "m", **SERVER, "parameters": [{"name": "n", "value": "many", "type": "INT"}]})),
        "graph.parameters[0].value: 'many' is not valid; expected the text of a number, as its type is INT",
    ),
    "budget with both limits": (
        _sdep(_p(componentSpecs=[_pod("x", pdbSpec={"minAvailable": 1, "maxUnavailable": 1})])),
        "componentSpecs[0].pdbSpec",
    ),
    "autoscaler upside down": (
        _sdep(_p(componentSpecs=[_pod("x", hpaSpec={"minReplicas": 3, "maxReplicas": 2})])),
        "hpaSpec.minReplicas: 3",
    ),
    "negative replicas": (_sdep(_p(replicas=-1)), "spec.predictors[0].replicas: -1"),
    "surge that is no number": (
        _sdep(_p(), annotations={"rollouts.seldon.io/max-surge": "some"}),
        "annotation rollouts.seldon.io/max-surge: 'some'",
    ),
    "neither a pod more nor one less": (
        _sdep(_p(annotations={"rollouts.seldon.io/max-surge": "0%"})),
        "spec.predictors[0]: annotation rollouts.seldon.io/max-surge: '0%'",
    ),
    "every host at the gateway mesh": (
        _sdep(_p(), annotations={"seldon.io/istio-gateway": "mesh"}),
        "annotation seldon.io/istio-gateway: 'mesh'",
    ),
    "queue size that is no number": (
        _sdep(_p(), annotations={"seldon.io/executor-logger-queue-size": "many"}),
        "annotation seldon.io/executor-logger-queue-size: 'many'",
    ),
    "container without a name": (
        _sdep(_p(componentSpecs=[{"spec": {"containers": [{}]}}])),
        "containers[0].name: None",
    ),
    "variable without a name": (
        _sdep(_p(componentSpecs=[{"spec": {"containers": [{"name": "x", "env": [{"value": "1"}]}]}}])),
        "spec.predictors[0].componentSpecs[0].spec.containers[0].env[0].name: None",
    ),
    "port that is none": (
        _sdep(_p(componentSpecs=[{"spec": {"containers": [{"name": "x", "ports": [{"containerPort": "9000"}]}]}}])),
        "containers[0].ports[0].containerPort: '9000'",
    ),
    "label that is no text": (
        _sdep(_p(componentSpecs=[_pod("x", metadata={"labels": {"a": 1}})])),
        "componentSpecs[0].metadata.labels: {'a': 1}",
    ),
    "orchestrator variable without a name": (
        _sdep(_p(svcOrchSpec={"env": [{"value": "1"}]})),
        "spec.predictors[0].svcOrchSpec.env[0].name: None",
    ),
    "name that is no label": (_sdep(_p(), name="a.b"), "metadata.name: 'a.b'"),
    "name that is too long": (_sdep(_p(), name="a" * 64), "metadata.name"),
    "predictor name that is no part of a name": (_sdep(_p("A_b")), "spec.predictors[0].name: 'A_b'"),
}


@pytest.mark.parametrize(("raw", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_spec_is_told_by_field_and_value(raw: dict[str, Any], said: str) -> None:
    found = _problems(raw)
    assert any(said in each for each in found), found


GOOD = {
    "zero traffic for one predictor": _sdep(_p(traffic=0)),
    "all traffic for one predictor": _sdep(_p(traffic=100)),
    "a shadow beside one predictor with no traffic field": _sdep(_p(), _p("s", shadow=True)),
    "two shadows": _sdep(_p(), _p("s", shadow=True), _p("t", shadow=True, traffic=5)),
    "kfserving is v2": _sdep(_p(), protocol="kfserving"),
    "a server with a model of its own": _sdep(
        _p(graph={"name": "m", "implementation": "HUGGINGFACE_SERVER"}), protocol="v2"
    ),
    "an unknown server with an image": _sdep(
        _p(graph={"name": "m", "implementation": "X_SERVER", "modelUri": "gs://m"}, componentSpecs=[_pod("m")])
    ),
    "no-engine that is not true": _sdep(
        _p(
            graph={"name": "a", **SERVER, "children": [{"name": "b", **SERVER}]},
            annotations={"seldon.io/no-engine": "false"},
        )
    ),
    "eleven levels": _sdep(_p(graph=_deep(11))),
    "built-ins with names of the old engine": _sdep(
        _p(graph={"name": "Simple_Model", "implementation": "SIMPLE_MODEL"})
    ),
}


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD.keys())
def test_a_good_spec_passes(raw: dict[str, Any]) -> None:
    assert _problems(raw) == []


@settings(max_examples=200)
@given(
    st.sampled_from(
        ["RANDOM_ABTEST", "SIMPLE_ROUTER", "AVERAGE_COMBINER", "EPSILON_GREEDY", "THOMPSON_SAMPLING", "SIMPLE_MODEL"]
    ),
    st.integers(0, 3),
    st.dictionaries(
        st.sampled_from(["ratioA", "epsilon", "seed", "other"]),
        st.tuples(
            st.sampled_from(
                ["0", "1", "0.5", "-1", "2", "7", "nan", "inf", "1e-3", " 1", "yes", "FALSE", "2_0", "", "x"]
            ),
            st.sampled_from(["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]),
        ),
        max_size=3,
    ),
)
def test_what_is_taken_of_a_graph_is_what_an_orchestrator_takes(implementation, children, parameters) -> None:
    """A graph that only its orchestrator refuses would be a pod that never starts."""
    predictor = _p(graph=_built(implementation, children, **parameters))
    try:
        graphs.parse(predictor)
        taken = True
    except GraphError:
        taken = False
    assert (_problems(_sdep(predictor)) == []) is taken


def test_every_problem_is_told_at_once() -> None:
    assert len(_problems(_sdep(_p(traffic=101, graph={"name": "x"}), _p("q", shadow=True, traffic=-1)))) == 3


def test_a_sample_is_valid(sample: Any) -> None:
    import yaml

    assert _problems(yaml.safe_load(sample.read_text())) == []


def test_the_words_of_a_problem() -> None:
    assert _problems(_sdep(_p(traffic=42))) == [
        "spec.predictors[0].traffic: 42 is not valid; expected 100 or nothing for the only predictor"
    ]


def test_a_shape_problem_says_what_is_expected() -> None:
    (found,) = _problems(_sdep(_p(), protocol="http"))
    assert found == "spec.protocol: 'http' is not valid; expected 'seldon', 'tensorflow', 'kfserving' or 'v2'"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("gs://m", ""),
        ("gs://bucket/a path", "an address without spaces"),
        ("s3:///model", "s3://bucket/model"),
        ("gs:/bucket/model", "gs://bucket/model"),
        ("https://host/m.tar.gz", ""),
        ("http:model", "http://host/model"),
        ("hdfs:///models/iris", ""),
        ("file:///models/iris", ""),
        ("file://models/iris", "file:///absolute/path"),
        ("pvc://claim", ""),
        ("pvc:///path", "pvc://claim/path"),
        ("/mnt/baked-in", ""),
        ("models/iris", "a scheme, such as gs://bucket/model, or an absolute path"),
        (
            "gss://m",
            "a scheme of gs, s3, azure, hdfs, wasbs, abfss, http, https, file, pvc; did you mean gs?",
        ),
        ("minio://m", "pvc; envSecretRefName configures other remotes of rclone"),
    ],
)
def test_a_model_is_where_the_initializer_can_get_it(uri: str, said: str) -> None:
    found = _problems(_sdep(_p(graph={"name": "m", **SERVER, "modelUri": uri})))
    field = "spec.predictors[0].graph.modelUri"
    assert [each.partition(" is not valid")[0] for each in found] == ([f"{field}: {uri!r}"] if said else [])
    assert all(said in each for each in found)


@pytest.mark.parametrize(
    ("spec", "configuration"),
    [
        ({"envSecretRefName": "rclone"}, Configuration()),
        ({"storageInitializerImage": "own"}, Configuration()),
        ({}, Configuration(initializer_env_secret="rclone")),
        ({}, Configuration(initializer_image="own")),
        ({"implementation": "TRITON_SERVER"}, Configuration()),
    ],
)
def test_an_initializer_that_may_know_more_is_not_told_what_it_knows(
    spec: dict[str, Any], configuration: Configuration
) -> None:
    raw = _sdep(_p(graph={"name": "m", **SERVER, "modelUri": "minio://m", **spec}))
    raw["spec"] |= {"annotations": {"seldon.io/no-storage-initializer": "true"}, "protocol": "v2"}
    subject = parse(raw)
    assert isinstance(subject, Subject)
    assert [each for each in check(subject, configuration) if "modelUri" in each.field] == []
