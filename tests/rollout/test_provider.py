"""Both controllers that ask Prometheus take what stands in its folder, and say at their start what does not fit."""

from pathlib import Path

import pytest

from controller.analysisruns.reconciler import AnalysisController
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.connection import fixed
from controller.rollout.provider import provider
from controller.settings import Settings, SettingsError


def asking(settings: Settings) -> None:
    provider(settings)


def measuring(settings: Settings) -> None:
    AnalysisController(Cluster(Client(fixed("http://127.0.0.1:9"))), settings)


@pytest.mark.parametrize("start", [asking, measuring])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prometheus_access": "nowhere"}, "expected a folder"),
        ({"prometheus_token_file": "nowhere"}, "expected a file with a bearer token"),
    ],
)
def test_what_does_not_fit_ends_the_start(start: object, given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        start(Settings(prometheus_url="http://127.0.0.1:9", **given))  # type: ignore[operator]


def test_a_folder_that_fits_is_taken(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    found = Settings(prometheus_url="http://127.0.0.1:9", prometheus_access=str(tmp_path))
    asking(found)
    measuring(found)
