"""The controller with the rights that the base grants, and no others, on a real API server."""

import pytest

from e2e.test_stories import phase, rollout, serve, stable_number


@pytest.mark.realserver
def test_a_whole_canary_needs_no_right_that_the_base_does_not_grant(world, kube, crowd, trained) -> None:
    if world.refusals is None:
        pytest.skip("KUBEBUILDER_ASSETS names no kube-apiserver: the controller is an administrator here")
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 240) as users:
        kube.write(rollout("digits", trained.uris[1]))
        kube.until("it is promoted", lambda: phase(kube, "digits") == "Healthy" and stable_number(kube, "digits") == 2)
    assert users.failures == []
    assert world.refusals() == []
