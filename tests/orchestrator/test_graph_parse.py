"""Predictors as written to graphs, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadRouteError, GraphError
from orchestrator.graph import routing
from orchestrator.graph.metadata import describe
from orchestrator.graph.node import BuiltIn, Kind, Method
from orchestrator.graph.parse import parse, split_image, typed

ENDPOINT = {"service_host": "localhost", "httpPort": 9000}
TWO = [{"name": "a", "endpoint": ENDPOINT}, {"name": "b", "endpoint": ENDPOINT}]


def one(**fields):
    return {"name": "p", "graph": {"name": "m", "endpoint": ENDPOINT, **fields}}


def test_a_node_with_nothing_said_of_it_is_a_model():
    graph = parse(one())

    assert graph.root.kind is Kind.MODEL
    assert graph.root.methods == {Method.PREDICT, Method.SEND_FEEDBACK}
    assert (graph.root.host, graph.root.port) == ("localhost", 9000)


def test_methods_alone_make_a_node_of_unknown_type():
    assert parse(one(methods=["ROUTE"])).root.methods == {Method.ROUTE}


def test_a_prepackaged_server_is_a_model_whatever_its_type_says():
    assert parse(one(type="UNKNOWN_TYPE", implementation="SKLEARN_SERVER")).root.kind is Kind.MODEL


def test_a_built_in_needs_no_endpoint():
    graph = parse({"name": "p", "graph": {"name": "ab", "implementation": "RANDOM_ABTEST", "children": TWO}})

    assert graph.root.built_in is BuiltIn.RANDOM_ABTEST
    assert graph.root.methods == frozenset()
    assert graph.routes is True


@pytest.mark.parametrize(
    ("predictor", "version"),
    [
        ({"labels": {"version": "v1"}, "annotations": {"version": "v2"}}, "v1"),
        ({"annotations": {"version": "v2"}}, "v2"),
        ({"labels": None}, ""),
    ],
)
def test_the_version_comes_from_labels_first(predictor, version):
    assert parse({**one(), **predictor}).version == version


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("", ("", "")),
        ("model", ("model", "")),
        ("model:1.2", ("model", "1.2")),
        ("host/model:1.2", ("host/model", "1.2")),
        ("host:5000/team/model", ("host:5000/team/model", "")),
        ("host:5000/team/model:1.2", ("host:5000/team/model", "1.2")),
        ("host:5000/model@sha256:ab", ("host:5000/model", "sha256:ab")),
        ("host:5000/model:1.2@sha256:ab", ("host:5000/model", "sha256:ab")),
    ],
)
def test_an_image_is_split_at_its_tag_not_at_its_port(image, parts):
    assert split_image(image) == parts


def test_a_nodes_image_is_that_of_its_container():
    predictor = {
        **one(),
        "componentSpecs": [{"spec": {"containers": [{"name": "m", "image": "r:5000/m:7"}]}}, {}, None],
    }

    root = parse(predictor).root

    assert (root.image, root.version) == ("r:5000/m", "7")


def test_nodes_of_a_file_get_ports_in_their_order():
    children = [
        {"name": "a"},
        {"name": "s", "implementation": "SIMPLE_MODEL"},
        {"name": "b", "endpoint": {"httpPort": 1}},
    ]

    graph = parse({"name": "p", "graph": {"name": "m", "children": [*children, {"name": "c"}]}}, first_port=9000)

    assert {name: node.port for name, node in graph.nodes.items()} == {"m": 9000, "a": 9001, "s": 0, "b": 1, "c": 9002}


LOOP = {"name": "m", "endpoint": ENDPOINT, "children": []}
LOOP["children"].append(LOOP)
DEEP = {"name": "n0", "endpoint": ENDPOINT}
for depth in range(1, 100):
    DEEP = {"name": f"n{depth}", "endpoint": ENDPOINT, "children": [DEEP]}


@pytest.mark.parametrize(
    ("predictor", "field"),
    [
        ([], "predictor"),
        ({}, "graph"),
        ({"graph": "m"}, "graph"),
        (one(name=""), "graph.name"),
        (one(name=7), "graph.name"),
        (one(type="MODELS"), "graph.type"),
        (one(type="UNKNOWN_TYPE"), "graph.type"),
        (one(methods=["PREDICT"]), "graph.methods[0]"),
        (one(methods="ROUTE"), "graph.methods"),
        (one(children={"x": 1}), "graph.children"),
        (one(children=[7]), "graph.children[0]"),
        (one(children=[{"name": "m", "endpoint": ENDPOINT}]), "graph.children[0].name"),
        (one(children=[{"name": "x"}]), "graph.children[0].endpoint.service_host"),
        (one(endpoint={"service_host": "h"}), "graph.endpoint.httpPort"),
        (one(endpoint={"service_host": "h", "httpPort": 70000}), "graph.endpoint.httpPort"),
        (one(endpoint={"service_host": "h", "httpPort": True}), "graph.endpoint.httpPort"),
        (one(endpoint=[]), "graph.endpoint"),
        (one(parameters=[7]), "graph.parameters[0]"),
        (one(parameters=[{"name": "n", "value": "x", "type": "INT"}]), "graph.parameters[0].value"),
        (one(parameters=[{"name": "n", "value": "x", "type": "LONG"}]), "graph.parameters[0].type"),
        (one(implementation="RANDOM_ABTEST"), "graph.children"),
        (
            one(
                implementation="RANDOM_ABTEST",
                children=TWO,
                parameters=[{"name": "ratioA", "value": "1.5", "type": "FLOAT"}],
            ),
            "graph.parameters.ratioA",
        ),
        (one(implementation="AVERAGE_COMBINER"), "graph.children"),
        ({"graph": LOOP}, "graph.children[0]"),
        ({"graph": DEEP}, "graph" + ".children[0]" * 64),
        ({**one(), "labels": []}, "labels"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_graph_that_cannot_run_is_refused_with_the_field_that_is_wrong(predictor, field):
    with pytest.raises(GraphError) as refused:
        parse(predictor)

    assert refused.value.field == field
    assert "expected" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "INT", 3), ("0.5", "FLOAT", 0.5), ("1e3", "DOUBLE", 1000.0), ("x", "STRING", "x"),
        ("false", "BOOL", False), ("Yes", "BOOL", True), ("off", "BOOL", False),
    ],
)  # fmt: skip
def test_parameters_have_the_type_that_they_declare(text, kind, value):
    assert typed(text, kind, "p") == value
    assert type(typed(text, kind, "p")) is type(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "graph", "children", "type", "endpoint", "parameters", "methods", "labels", "spec"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_is_written_is_a_graph_or_a_graph_error(value):
    try:
        graph = parse(value)
    except GraphError as error:
        assert error.field  # noqa: PT017 — both ends are right
    else:
        assert graph.root.name in graph.nodes


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_a_draw_takes_the_first_child_when_it_is_below_the_ratio(draw, ratio):
    parameters = [{"name": "ratioA", "value": repr(ratio), "type": "FLOAT"}]
    node = parse(one(implementation="RANDOM_ABTEST", children=TWO, parameters=parameters)).root

    assert routing.drawn(node, draw) == (0 if draw < ratio else 1)


@given(st.integers(-10, 10))
def test_a_route_is_right_when_there_is_such_a_child(route):
    node = parse(one(type="ROUTER", children=TWO)).root

    if route in {-2, -1, 0, 1}:
        assert routing.checked(node, route) == route
    else:
        with pytest.raises(BadRouteError):
            routing.checked(node, route)


def said(name):
    return {"inputs": f"{name} in", "outputs": f"{name} out"}


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        ("MODEL", "m in", "a out"),
        ("TRANSFORMER", "m in", "a out"),
        ("OUTPUT_TRANSFORMER", "a in", "m out"),
        ("COMBINER", "a in", "m out"),
        ("ROUTER", "a in", "a out"),
    ],
)
def test_the_graphs_sides_are_those_of_the_nodes_at_its_ends(kind, inputs, outputs):
    graph = parse(one(type=kind, children=TWO))

    described = describe(graph, {name: said(name) for name in graph.nodes})

    assert (described["graphinputs"], described["graphoutputs"]) == (inputs, outputs)
    assert described["name"] == "p"


def test_built_ins_have_no_sides_of_their_own():
    graph = parse({"name": "p", "graph": {"name": "ab", "implementation": "RANDOM_ABTEST", "children": TWO}})

    assert describe(graph, {"a": said("a"), "b": said("b")})["graphinputs"] == "a in"
