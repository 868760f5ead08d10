"""What is said of a name that is not there: what is instead, and never the API server's raw answer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.testserver import running_server
from seldon_rollouts.cli import adoption, finding
from seldon_rollouts.cli.connect import UsageError
from seldon_rollouts.cli.finding import Place, sentence

ROOT = Path(__file__).parents[2]
MANY = [("ml", f"model-{number}") for number in range(9)]
NONE = "there is no SeldonRollout 'iris' in namespace ml"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([], f"{NONE}, and none anywhere: make one by `kubectl apply -f FILE`"),
        (None, f"{NONE}; which there are may not be seen"),
        ([("ml", "iros"), ("ml", "digits")], f"{NONE}; did you mean iros?"),
        ([("ml", "iris-b"), ("ml", "iris-a")], f"{NONE}; did you mean iris-b or iris-a?"),
        ([("ml", "digits")], f"{NONE}; there is digits (`seldon-rollouts list -n ml`)"),
        ([("web", "iris"), ("ml", "iros")], f"{NONE}, but in web: name it with -n"),
        ([("web", "digits"), ("web", "other")], f"{NONE}, nor any other; -n may name web"),
        (MANY, f"{NONE}; there are model-0, model-1, model-2, model-3, model-4 and 4 more (`seldon-rollouts"),
    ],
)
def test_what_is_there_is_told_instead(known: list[Place] | None, said: str) -> None:
    assert sentence("SeldonRollout", ("ml", "iris"), known).startswith(said)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A cluster with one rollout, default/iris."""
    async with (
        running_server(crds=[ROOT / "crds"]) as server,
        Client(connector(str(server.kubeconfig_path), None, now=clock.now)) as client,
    ):
        made = {
            "apiVersion": "rollouts.seldon.io/v1alpha1",
            "kind": "SeldonRollout",
            "metadata": {"name": "iris", "namespace": "default"},
            "spec": {"template": {"spec": {"predictors": [{"name": "p", "graph": {"name": "m"}}]}}},
        }
        await client.create(resources.SELDON_ROLLOUT, made)
        yield client


@pytest.mark.parametrize(
    ("namespace", "name", "said"),
    [("default", "irsi", "did you mean iris?"), ("ml", "iris", "but in default: name it with -n")],
)
async def test_a_cluster_is_asked_which_there_are(client: Client, namespace: str, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        await finding.rollout(client, namespace, name)


async def test_a_deployment_that_is_to_be_adopted_is_told_like_a_rollout(client: Client) -> None:
    with pytest.raises(UsageError, match="there is no SeldonDeployment 'x' in namespace default, and none anywhere"):
        await adoption.plan(client, "default", "x")
