"""What the mesh says of a VirtualService, as Istio writes it or does not."""

import pytest

from controller.api.mesh import MeshAnswer, answer

TAKEN = {"type": "Reconciled", "status": "True"}
PARTLY = {"type": "Reconciled", "status": "False", "message": "1/2 proxies up to date."}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, None),
        ({}, None),
        ({"conditions": [{"type": "PassedAnalysis", "status": "True"}], "observedGeneration": 7}, None),
        ({"conditions": [TAKEN]}, MeshAnswer(True, True, "")),
        ({"conditions": [TAKEN], "observedGeneration": "7"}, MeshAnswer(True, True, "")),
        ({"conditions": [TAKEN], "observedGeneration": 6}, MeshAnswer(False, True, "")),
        ({"conditions": [{**TAKEN, "observedGeneration": 7}], "observedGeneration": 6}, MeshAnswer(True, True, "")),
        ({"conditions": [PARTLY]}, MeshAnswer(True, False, "1/2 proxies up to date.")),
        ({"conditions": [{**TAKEN, "status": "False", "reason": "Odd"}]}, MeshAnswer(True, False, "Odd")),
        ({"conditions": [{**TAKEN, "status": "Unknown"}]}, MeshAnswer(True, False, "")),
    ],
)
def test_it_is_read_with_the_generation_that_it_is_about(status, said) -> None:
    assert answer({"metadata": {"generation": 7}, **({} if status is None else {"status": status})}) == said
