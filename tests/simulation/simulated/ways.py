"""Ways to release: a strategy, and what goes with it. New ones go to the end: stories name them by place."""

from typing import Any

_HEADER = {"setHeaderRoute": {"name": "inside", "match": [{"headers": {"x-team": {"exact": "ml"}}}]}}
_TEAM = {"headers": {"x-team": {"exact": "ml"}}}
NAMED = {"templates": [{"templateName": "rate"}]}
_MINUTE = {"bake": {"duration": "1m"}}


def _canary(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"strategy": {"canary": {"steps": list(steps)}}, **more}


def _blue_green(**spec: Any) -> dict[str, Any]:
    return {"strategy": {"blueGreen": spec}}


def _asked(interval: str) -> dict[str, Any]:
    return {"gate": {"webhook": {"url": "http://gatekeeper.ml.svc.cluster.local/ask", "interval": interval}}}


WAYS: tuple[dict[str, Any], ...] = (
    _canary({"setWeight": 20}, {"analysis": {}}, {"setWeight": 50}),
    _canary({"setWeight": 5}, {"pause": {"duration": "30s"}}, {"setWeight": 25}, {"pause": {"duration": "1m"}},
            {"setWeight": 60}, **_MINUTE),
    _canary({"setMirror": {"percentage": 100}}, {"pause": {"duration": "20s"}}, {"setWeight": 10}, {"analysis": {}}),
    _canary({"setWeight": 10}, {"pause": {}}, {"setWeight": 100}),
    _canary({"setWeight": 50}),
    _canary({"analysis": {"minDuration": "30s", "maxDuration": "2m"}}, {"setWeight": 30},
            {"analysis": {"maxDuration": "3m"}}, bake={"duration": "2m", "holdback": 20}),
    _canary({"setScale": {"matchWeight": True}}, {"setWeight": 25}, {"pause": {"duration": "40s"}}, {"setWeight": 75}),
    _canary({"setScale": {"replicas": 1}}, _HEADER, {"pause": {"duration": "20s"}},
            {"setHeaderRoute": {"name": "inside"}}, {"setScale": {"auto": True}}, {"setWeight": 40}),
    _blue_green(),
    _blue_green(previewReplicas=1, previewHeader={}, autoPromotionSeconds=20, postPromotionAnalysis={}),
    _blue_green(autoPromotionEnabled=False),
    {"strategy": {"shadow": {"untilVerdict": {"maxDuration": "3m"}}}},
    {"strategy": {"shadow": {"duration": "1m", "then": {"steps": [{"setWeight": 30}]}}}, **_MINUTE},
    _canary({"setWeight": 0.5}, {"analysis": {"maxDuration": "1m"}}, {"setWeight": 12.25},
            {"setMirror": {"percentage": 0.5}}),
    _canary({"setWeight": 30}, {"pause": {"maxDuration": "1m", "onTimeout": "promote"}}, {"setWeight": 60},
            {"pause": {"maxDuration": "90s", "onTimeout": "abort"}}),
    _canary({"setWeight": 30}, {"gate": {"approval": {"name": "head"}}}, {"setMirror": {"percentage": 50}}, _HEADER,
            {"pause": {"duration": "30s"}}),
    {"strategy": {"canary": {"dynamicStableScale": True, "steps": [
        {"setWeight": 50}, {"pause": {"duration": "40s"}}, {"setWeight": 80}, {"pause": {"duration": "1m"}},
        {"setWeight": 30}, {"analysis": {"maxDuration": "2m"}}]}}},
    {"strategy": {"canary": {"replicaProgressThreshold": {"percent": 30}, "steps": [
        {"setWeight": 30}, {"pause": {"duration": "30s"}}, {"setScale": {"replicas": 4}}, {"setWeight": 60},
        {"analysis": {"maxDuration": "2m"}}]}}, **_MINUTE},
    {"strategy": {"canary": {"weights": [10, 50], "interval": "20s"}}, "rollbackWindow": {"revisions": 2}},
    {"strategy": {"canary": {"judgedFromStep": 2, "steps": [
        {"setScale": {"percent": 50}}, _HEADER, {"gate": {"windows": [{"start": "00:00", "end": "00:00"}]}},
        {"setHeaderRoute": {"name": "inside", "match": [{"headers": {"x-team": {"prefix": "m"}}}, {"method": "PUT"}]}},
        {"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 35}, {"analysis": {"maxDuration": "2m"}}]}},
        "abortScaleDownDelay": "2m"},
    _blue_green(previewHeader={}, prePromotionAnalysis={"skip": True}, autoPromotionSeconds=15,
                postPromotionAnalysis={"maxDuration": "2m"})
    | {"rollbackWindow": {"revisions": 1}, "scaleDownDelayRevisionLimit": 1},
    {"strategy": {"shadow": {"duration": "40s", "percentage": 50, "then": {"dynamicStableScale": True, "steps": [
        {"setWeight": 40}, {"pause": {"duration": "30s"}}, {"setWeight": 75}]}}}},
    # Those of parts: 22 and on.
    _canary({"setWeight": 20}, _asked("20s"), {"setWeight": 60}, _asked("1m"), {"setWeight": 80}),
    _canary(_asked("30s"), {"setWeight": 40}, {"gate": {"approval": {"name": "head"}}}, {"pause": {"duration": "20s"}}),
    _canary({"setWeight": 20}, {"analysis": NAMED}, {"setWeight": 50}),
    _canary({"setWeight": 20}, {"pause": {"duration": "30s"}}, {"analysis": {**NAMED, "maxDuration": "3m"}},
            {"setWeight": 50}),
    _blue_green(prePromotionAnalysis=NAMED, postPromotionAnalysis=NAMED),
    _canary({"setMirror": {"percentage": 100, "match": [_TEAM]}}, {"pause": {"duration": "40s"}}, {"setWeight": 10},
            {"analysis": {}}),
    _canary({"setWeight": 20}, {"setMirror": {"percentage": 50, "match": [_TEAM, {"method": "POST"}]}},
            {"pause": {"duration": "40s"}}, {"setWeight": 60}),
)  # fmt: skip
DRAWN = 22
"""So many are for any story; those after them have something that a part of the world gives."""
BESIDE = ("bake", "rollbackWindow", "abortScaleDownDelay", "scaleDownDelayRevisionLimit")
"""What goes with a strategy in some of them."""
