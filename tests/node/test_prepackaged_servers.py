"""The prepackaged servers on real models."""

import json
import pickle

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from orchestrator.node.errors import StartError
from orchestrator.node.mlflowserver import MLFlowServer
from orchestrator.node.sklearnserver import SKLearnServer
from orchestrator.node.xgboostserver import XGBoostServer

X = np.array([[0.0], [1.0], [2.0], [3.0]])
Y = np.array([0, 0, 1, 1])


@pytest.fixture
def classifier():
    return LogisticRegression().fit(X, Y)


@pytest.fixture
def folder(tmp_path, classifier):
    """A model URI as the initializer leaves it."""
    joblib.dump(classifier, tmp_path / "model.joblib")
    return tmp_path


@pytest.mark.parametrize("method", ["predict_proba", "predict", "decision_function"])
@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/model.joblib"])
def test_a_classifier_answers_by_the_method_that_is_asked_for(folder, classifier, method, form):
    server = SKLearnServer(model_uri=form.format(folder), method=method)
    server.load()

    assert np.array_equal(server.predict(X, []), getattr(classifier, method)(X))


def test_probabilities_are_the_default(folder):
    server = SKLearnServer(model_uri=str(folder))
    server.load()

    assert server.predict(X, []).shape == (4, 2)


def test_a_pickle_is_read_too(tmp_path, classifier):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(classifier))

    server = SKLearnServer(model_uri=str(tmp_path))
    server.load()

    assert server.predict(X, []).shape == (4, 2)


def test_a_model_without_the_method_says_what_it_has(tmp_path):
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "model.joblib")

    with pytest.raises(StartError, match=r"LinearRegression, which has no predict_proba.*one of: predict$"):
        SKLearnServer(model_uri=str(tmp_path)).load()


def test_a_folder_without_a_model_says_what_it_has(tmp_path):
    (tmp_path / "other.txt").write_text("")

    with pytest.raises(StartError, match=r"has none of model.joblib.*other.txt"):
        SKLearnServer(model_uri=str(tmp_path)).load()


def test_a_method_that_is_none_is_refused():
    with pytest.raises(StartError, match="parameter method"):
        SKLearnServer(model_uri="x", method="fit")


def test_a_uri_that_leads_nowhere_is_said():
    with pytest.raises(StartError, match="no such file"):
        SKLearnServer(model_uri="/nowhere").load()


def test_metadata_beside_the_model_is_given(folder):
    (folder / "metadata.yaml").write_text("name: iris\nversions: [v1]\n")
    server = SKLearnServer(model_uri=str(folder))
    server.load()

    assert server.init_metadata() == {"name": "iris", "versions": ["v1"]}


@pytest.mark.parametrize(("server", "library"), [(XGBoostServer, "xgboost"), (MLFlowServer, "mlflow")])
def test_a_missing_library_is_said_with_how_to_get_it(server, library, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)

    with pytest.raises(StartError, match=f"pip install {library}"):
        server(model_uri="x").load()


def test_xgboost_answers_as_its_booster(tmp_path):
    xgboost = pytest.importorskip("xgboost", reason="xgboost is not installed")
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, label=Y), num_boost_round=2)
    booster.save_model(tmp_path / "model.json")

    server = XGBoostServer(model_uri=str(tmp_path))
    server.load()

    assert np.allclose(server.predict(X, []), booster.predict(xgboost.DMatrix(X)))


def test_the_server_is_served_as_a_node_behind_an_orchestrator(folder, classifier, launch_node, launch, port):
    """What the local cluster runs: the model, and the orchestrator that the operator renders before it."""
    import base64

    parameters = json.dumps([{"name": "model_uri", "value": str(folder), "type": "STRING"}])
    node = launch_node("", "orchestrator.node.sklearnserver.SKLearnServer", PREDICTIVE_UNIT_PARAMETERS=parameters)
    endpoint = {"service_host": "localhost", "service_port": node.port, "httpPort": node.port}
    graph = {"name": "mine", "implementation": "SKLEARN_SERVER", "type": "MODEL", "endpoint": endpoint}
    predictor = base64.b64encode(json.dumps({"name": "main", "graph": graph}).encode()).decode()
    at = port()
    line = f"--sdep iris --namespace ml --predictor main --http_port {at} --grpc_port 0 --prometheus_path /prometheus"
    front = launch("orchestrator", *line.split(), port=at, ENGINE_PREDICTOR=predictor)
    front.wait_ready("/ready")

    status, answer = front.request("POST", "/api/v1.0/predictions", {"data": {"ndarray": X.tolist()}})

    assert status == 200
    assert np.allclose(answer["data"]["ndarray"], classifier.predict_proba(X))
    assert front.request("POST", "/api/v1.0/predictions", b"no json")[0] == 400
    assert front.memory() < 60
    node.stop()
    assert front.request("GET", "/ready")[0] == 503
    assert front.stop() == 0
