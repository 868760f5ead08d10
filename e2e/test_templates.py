"""Templates in a rollout with a real Prometheus: a limit of one's own finds what the judge calls shared trouble."""

from e2e.test_stories import phase, rollout

TEMPLATE = {"group": "rollouts.seldon.io", "version": "v1alpha1", "plural": "analysistemplates"}
RUN = {**TEMPLATE, "plural": "analysisruns"}
WHERE = 'namespace="{{args.namespace}}",deployment_name="{{args.rollout}}-{{args.hash}}"'
SERVED = "seldon_api_executor_server_requests_seconds_count"
FAST = f'sum(rate(seldon_api_executor_server_requests_seconds_bucket{{{WHERE},le="0.1"}}[5s]))'
ALL = f"sum(rate({SERVED}{{{WHERE}}}[5s]))"


def template(query: str) -> dict:
    metric = {
        "name": "quick",
        "interval": "2s",
        "count": 3,
        "initialDelay": "4s",
        "successCondition": "result[0] >= 0.9",
        "provider": {"prometheus": {"query": query}},
    }
    return {
        "apiVersion": "rollouts.seldon.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "quick"},
        "spec": {"args": [{"name": name} for name in ("namespace", "rollout", "hash")], "metrics": [metric]},
    }


def with_template(uri: str) -> dict:
    field = {"name": "rollout", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    space = {"name": "namespace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    digest = {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    step = {"templates": [{"templateName": "quick"}], "args": [field, space, digest]}
    made = rollout("digits", uri, steps=[{"setWeight": 20}, {"analysis": step}])
    container = {"name": "classifier", "env": [{"name": "GUNICORN_THREADS", "value": "8"}]}
    made["spec"]["template"]["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {"containers": [container]}}]
    made["spec"]["analysis"]["metrics"] = [{"errorRate": {}}]
    return made


def test_a_slow_revision_that_only_a_template_minds_is_rolled_back_and_a_quick_one_goes_on(
    kube, crowd, trained
) -> None:
    kube.write(template(f"{FAST} / {ALL}"), **TEMPLATE)
    kube.write(with_template(trained.uris[0]))
    kube.until("the first revision serves", lambda: phase(kube, "digits") == "Healthy")
    with crowd("digits", 120):
        kube.write(with_template(trained.uris[3]))
        kube.until("it is rolled back", lambda: phase(kube, "digits") == "Degraded")
        (rejected,) = kube.status("digits")["rejected"]
        assert (rejected["by"], rejected["reason"]["metric"]) == ("analysis", "quick")
        (run,) = kube.status("digits")["analysis"]["runs"]
        (result,) = kube.read(run["name"], **RUN)["status"]["metricResults"]
        assert (run["phase"], float(result["measurements"][-1]["value"].strip("[]")) < 0.5) == ("Failed", True)
        kube.write(with_template(trained.uris[1]))
        kube.until("it is promoted", lambda: kube.status("digits").get("stableRevision", {}).get("number") == 3)
    assert kube.status("digits")["analysis"]["runs"][-1]["phase"] == "Successful"
