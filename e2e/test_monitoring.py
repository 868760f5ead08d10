"""Every panel of the shipped dashboards has something to draw, and every alert can be asked, after a real rollback."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from e2e import manifests

FOLDER = Path(__file__).parents[1] / "manifests" / "components" / "monitoring"
SPAN = 180
"""Seconds that a dashboard looks back."""
GRAFANA = {"$__rate_interval": "15s", "$__range": f"{SPAN}s", "$namespace": ".*", "$rollout": ".*", "$deployment": ".*"}
"""What Grafana puts in the place of its variables."""


def rollout(uri: str) -> dict[str, Any]:
    return manifests.rollout(uri, {"canary": {"steps": [{"setWeight": 20}, {"analysis": {}}]}})


class Prometheus:
    """Asked as Grafana asks it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _get(self, path: str, **params: Any) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=params, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def drawn(self, expr: str) -> bool:
        """Say whether a panel would show anything but gaps."""
        for name, value in GRAFANA.items():
            expr = expr.replace(name, value)
        now = time.time()
        found = self._get("query_range", query=expr, start=now - SPAN, end=now, step=2)["result"]
        return any(value != "NaN" for series in found for _, value in series["values"])

    def choices(self, definition: str) -> list[str]:
        """What a variable of a dashboard offers."""
        match, label = re.fullmatch(r"label_values\((.*), (\w+)\)", definition).groups()
        match = match.replace("$namespace", ".*")
        return list(self._get(f"label/{label}/values", **{"match[]": match}))


@pytest.fixture
def prometheus(world) -> Prometheus:
    if not world.prometheus_url:
        pytest.skip("the Prometheus of a real cluster is not asked")
    return Prometheus(world.prometheus_url)


def test_every_panel_has_something_to_draw(kube, crowd, trained, prometheus) -> None:
    kube.write(rollout(trained.uris[1]))
    kube.until("the first revision serves", lambda: kube.status("digits").get("phase") == "Healthy")
    with crowd("digits", 240) as users:
        kube.write(rollout(trained.uris[2]))
        kube.until("the bad model is rolled back", lambda: kube.status("digits").get("phase") == "Degraded")
        sent = users.sent
        kube.until("stable goes on serving", lambda: users.sent > sent + 1000)
    boards = [json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "grafana").glob("*.json"))]
    panels = {
        f"{board['title']}: {panel['title']}: {target['expr']}": target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    empty = set(panels)

    def all_drawn() -> bool:
        empty.difference_update([name for name in sorted(empty) if prometheus.drawn(panels[name])])
        return not empty

    try:
        kube.until("everything was scraped", all_drawn, timeout=30)
    except TimeoutError:
        pytest.fail("nothing to draw for:\n" + "\n".join(sorted(empty)))
    offered = {
        f"{board['title']}: {each['name']}": prometheus.choices(each["definition"])
        for board in boards
        for each in board["templating"]["list"]
        if each["type"] == "query"
    }
    assert [name for name, choices in offered.items() if not choices] == []
    rules = [
        rule
        for group in yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    fires = {rule["alert"]: prometheus.drawn(rule["expr"]) for rule in rules}
    assert fires["SeldonRolloutRolledBack"]
    assert not fires["SeldonRolloutStuck"]
