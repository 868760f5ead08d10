"""Tokens that are issued end with their time, whether or not anybody looks at them."""

from localcluster.apiserver.auth import Tokens
from localcluster.apiserver.issuing import Issuing


def test_a_token_ends_with_its_time_and_is_forgotten(world):
    account = world.store.create(
        world.store.kind("v1", "ServiceAccount"),
        {"metadata": {"name": "robot", "namespace": "default"}},
        namespace="default",
    )
    known = {}
    issuing, tokens = Issuing(world.store, known), Tokens({}, known)
    issued = issuing.answer(account, {"spec": {"expirationSeconds": 600}})["status"]

    world.later(599)
    assert tokens.user(issued["token"]).name == "system:serviceaccount:default:robot"
    world.later(1)
    assert tokens.user(issued["token"]) is None
    assert issued["expirationTimestamp"] == world.store.now()

    issuing.answer(account, {})
    assert len(known) == 1
