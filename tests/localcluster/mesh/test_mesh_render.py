"""The cluster's objects as Envoy's resources."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest

from localcluster.mesh.render import History, Rejection, Rendered, Settings, render

GOLDEN = Path(__file__).parent / "golden"
CANARY = ("ml", "iris")


def routes(rendered: Rendered, domain: str = "*") -> list[dict[str, Any]]:
    hosts = {host["name"]: host["routes"] for host in rendered.routes["gateway"]["virtual_hosts"]}
    return list(hosts.get(domain, []))


def addresses(rendered: Rendered, cluster: str) -> list[str]:
    return [
        each["endpoint"]["address"]["socket_address"]["address"]
        for locality in rendered.endpoints[cluster]["endpoints"]
        for each in locality["lb_endpoints"]
    ]


def canary(build: Any) -> list[dict[str, Any]]:
    """A canary as upstream's operator writes it: two predictors, REST and gRPC, retries, a shadow."""
    stable, new, shadow = "iris-stable", "iris-canary", "iris-shadow"
    labels = {"stable": "v1", "canary": "v2", "shadow": "v3"}
    split = [build.to(stable, 80, subset="stable"), build.to(new, 20, subset="canary")]
    grpc = [build.to(stable, 80, subset="stable", port=5001), build.to(new, 20, subset="canary", port=5001)]
    retries = {"attempts": 3, "perTryTimeout": "2s", "retryOn": "gateway-error,connect-failure,refused-stream"}
    mirror = build.to(shadow, subset="shadow")["destination"]
    return [
        *(build.service(name) for name in (stable, new, shadow)),
        build.slice(stable, "stable-1", address="127.1.0.1"),
        build.slice(new, "canary-1", address="127.1.0.2"),
        build.slice(shadow, "shadow-1", address="127.1.0.3"),
        *(build.pod(f"{name}-1", f"iris-{name}-0", version=version) for name, version in labels.items()),
        *(
            build.rule(
                f"iris-{name}",
                {"name": name, "labels": {"version": version}},
                connectionPool={"http": {"idleTimeout": "60s"}},
            )
            for name, version in labels.items()
        ),
        build.virtual_service(
            build.split(*split, retries=retries, mirror=mirror, mirrorPercentage={"value": 12.5}),
            {
                "match": [
                    {
                        "uri": {"regex": ".*tensorflow.*|.*seldon.protos.*|.*inference.*"},
                        "headers": {"seldon": {"exact": "iris"}, "namespace": {"exact": "ml"}},
                    }
                ],
                "route": grpc,
            },
        ),
    ]


def test_a_canary_renders_to_the_golden_file(build: Any, settings: Settings) -> None:
    rendered = render(build.seen(*canary(build)), settings)
    found = {
        "clusters": rendered.clusters,
        "endpoints": rendered.endpoints,
        "routes": rendered.routes,
        "listeners": sorted(rendered.listeners),
        "hosts": rendered.hosts.splitlines(),
    }
    text = orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    expected = (GOLDEN / "canary.json").read_bytes()
    assert orjson.loads(text) == orjson.loads(expected), (
        "to accept the change, write the new text to golden/canary.json"
    )


def test_rendering_twice_gives_the_same_bytes(build: Any, settings: Settings) -> None:
    objects = canary(build)
    first, second = (render(build.seen(*order), settings) for order in (objects, list(reversed(objects))))
    assert orjson.dumps([first.clusters, first.endpoints, first.routes, first.listeners]) == orjson.dumps(
        [second.clusters, second.endpoints, second.routes, second.listeners]
    )


def test_rendering_changes_no_object(build: Any, settings: Settings) -> None:
    objects = canary(build)
    before = copy.deepcopy(objects)
    render(build.seen(*objects), settings)
    assert objects == before


def test_the_report_of_an_accepted_virtual_service_has_its_shares(build: Any, settings: Settings) -> None:
    report = render(build.seen(*canary(build)), settings).reports[CANARY]
    assert (report.accepted, report.reason) == (True, "Accepted")
    rest = [(share.host, share.subset, share.percent) for share in report.shares if share.port == 8000]
    assert rest == [("iris-stable.ml", "stable", 80.0), ("iris-canary.ml", "canary", 20.0)]


def test_a_subset_has_the_pods_with_its_labels_only(build: Any, settings: Settings) -> None:
    seen = build.seen(
        build.service("iris"),
        build.slice("iris", "a", address="127.1.0.1"),
        build.slice("iris", "b", address="127.1.0.2"),
        build.pod("a", version="v1"),
        build.pod("b", version="v2"),
        build.rule("iris", {"name": "old", "labels": {"version": "v1"}}),
        build.virtual_service(build.split(build.to("iris", subset="old"))),
    )
    rendered = render(seen, settings)
    assert addresses(rendered, "ml/iris/8000/old") == ["127.1.0.1"]
    assert addresses(rendered, "ml/iris/8000") == ["127.1.0.1", "127.1.0.2"]


def test_an_endpoint_that_is_not_ready_gets_no_requests(build: Any, settings: Settings) -> None:
    seen = build.seen(
        build.service("iris"),
        build.slice("iris", "a", address="127.1.0.1", ready=False),
        build.slice("iris", "b", address="127.1.0.2"),
    )
    assert addresses(render(seen, settings), "ml/iris/8000") == ["127.1.0.2"]


def test_an_endpoint_tells_the_metrics_which_workload_it_is(build: Any, settings: Settings) -> None:
    seen = build.seen(build.service("iris"), build.slice("iris", "a"), build.pod("a", "iris-default-0", version="v7"))
    (endpoint,) = render(seen, settings).endpoints["ml/iris/8000"]["endpoints"][0]["lb_endpoints"]
    metadata = endpoint["metadata"]["filter_metadata"]["mesh"]
    assert (metadata["workload"], metadata["version"], metadata["canonical_service"]) == (
        "iris-default-0",
        "v7",
        "iris-default-0",
    )


MISSING = [
    ({"host": "nobody", "port": 8000}, "there is no Service ml/nobody"),
    ({"host": "iris", "port": 1}, "Service ml/iris has no port 1 (it has 8000, 5001)"),
    ({"host": "iris", "subset": "nope", "port": 8000}, "no DestinationRule of iris has a subset 'nope'"),
    ({"host": "api.example.org", "port": 443}, "api.example.org is not the name of a Service in this cluster"),
]


@pytest.mark.parametrize(("destination", "says"), MISSING)
def test_a_destination_that_does_not_exist_is_an_empty_cluster_and_a_reason(
    build: Any, settings: Settings, destination: dict[str, Any], says: str
) -> None:
    to = build.to(destination["host"], 50, subset=destination.get("subset", ""), port=destination["port"])
    seen = build.seen(
        build.service("iris"),
        build.slice("iris", "a"),
        build.virtual_service(build.split(build.to("iris", 50), to)),
    )
    rendered = render(seen, settings)
    report = rendered.reports[CANARY]
    (route,) = routes(rendered)
    missing = route["route"]["weighted_clusters"]["clusters"][1]["name"]
    assert (report.accepted, report.reason) == (False, "DestinationNotFound")
    assert says in report.message
    assert rendered.endpoints[missing]["endpoints"] == []
    assert missing in rendered.clusters


INVALID = [
    ({"route": []}, "spec.http[0]: must have exactly one of route, redirect, directResponse"),
    ({"route": [{"destination": {}}]}, "spec.http[0].route[0].destination.host: is required"),
    (
        {"route": [{"destination": {"host": "iris"}}]},
        "spec.http[0].route[0].destination.port: is required: Service ml/iris has 2 ports",
    ),
    ({"timeout": "soon"}, "spec.http[0].timeout: must be a duration"),
    ({"match": [{"uri": {"like": "x"}}]}, "spec.http[0].match[0].uri: must have exactly one of"),
    ({"weights": 3}, "spec.http[0].weights: is not known"),
    ({"mirrorPercentage": {"value": 101}, "mirror": {"host": "iris", "port": {"number": 8000}}}, "between 0 and 100"),
    ({"route": 7}, "spec: a field has the wrong type"),
]


@pytest.mark.parametrize(("change", "says"), INVALID)
def test_an_invalid_virtual_service_is_reported_by_its_field_and_not_routed(
    build: Any, settings: Settings, change: dict[str, Any], says: str
) -> None:
    http = {"route": [build.to("iris")], **change}
    rendered = render(build.seen(build.service("iris"), build.virtual_service(http)), settings)
    report = rendered.reports[CANARY]
    assert (report.accepted, report.reason) == (False, "Invalid")
    assert says in report.message
    assert routes(rendered) == []


def test_weights_that_sum_to_nothing_are_invalid_except_for_a_single_destination(
    build: Any, settings: Settings
) -> None:
    services = [build.service("a"), build.service("b")]
    two = build.virtual_service(build.split(build.to("a", 0), build.to("b", 0)))
    one = build.virtual_service(build.split(build.to("a", 0)))
    assert render(build.seen(*services, two), settings).reports[CANARY].reason == "Invalid"
    assert render(build.seen(*services, one), settings).reports[CANARY].shares[0].percent == 100


def test_the_last_accepted_version_stays_in_effect_beside_an_invalid_one(build: Any, settings: Settings) -> None:
    good = build.virtual_service(build.split(build.to("iris"), prefix="/good/"))
    bad = build.virtual_service(build.split(build.to("iris"), timeout="soon"), generation=2)
    rendered = render(build.seen(build.service("iris"), bad), settings, History(accepted={CANARY: good}))
    (route,) = routes(rendered)
    assert route["match"] == {"prefix": "/good/"}
    assert rendered.reports[CANARY].generation == 2
    assert rendered.reports[CANARY].message.endswith("the last accepted version stays in effect")
    assert rendered.in_effect[CANARY] is good


def test_a_version_that_envoy_refused_is_not_routed_again_and_the_next_one_is(build: Any, settings: Settings) -> None:
    refused = History(rejected={CANARY: Rejection(1, "Envoy refuses it: bad regex")})
    first = build.virtual_service(build.split(build.to("iris")))
    second = build.virtual_service(build.split(build.to("iris")), generation=2)
    assert render(build.seen(build.service("iris"), first), settings, refused).reports[CANARY].reason == "Rejected"
    assert render(build.seen(build.service("iris"), second), settings, refused).reports[CANARY].reason == "Accepted"


def test_a_gateway_that_does_not_exist_is_reported(build: Any, settings: Settings) -> None:
    seen = build.seen(
        build.service("iris"), build.virtual_service(build.split(build.to("iris")), gateways=["ml/nowhere"])
    )
    rendered = render(seen, settings)
    assert rendered.reports[CANARY].reason == "GatewayNotFound"
    assert routes(rendered) == []


def test_a_virtual_service_of_the_mesh_routes_a_services_own_address(build: Any, settings: Settings) -> None:
    seen = build.seen(
        build.service("iris"),
        build.service("other"),
        build.virtual_service(build.split(build.to("other"), prefix="/"), hosts=["iris"], gateways=["mesh"]),
    )
    rendered = render(seen, settings)
    assert routes(rendered) == []
    (host,) = rendered.routes["service/ml/iris/8000"]["virtual_hosts"]
    assert host["routes"][0]["route"]["cluster"] == "ml/other/8000"


def test_a_service_without_a_virtual_service_goes_to_its_pods(build: Any, settings: Settings) -> None:
    rendered = render(build.seen(build.service("iris")), settings)
    (host,) = rendered.routes["service/ml/iris/8000"]["virtual_hosts"]
    assert host["routes"][0]["route"]["cluster"] == "ml/iris/8000"


def test_a_route_that_takes_everything_stands_last_whatever_its_age(build: Any, settings: Settings) -> None:
    everything = build.virtual_service({"route": [build.to("iris")]}, name="aaa")
    precise = build.virtual_service(build.split(build.to("iris")), name="zzz")
    rendered = render(build.seen(build.service("iris"), everything, precise), settings)
    assert [route["match"] for route in routes(rendered)] == [{"prefix": "/seldon/ml/iris/"}, {"prefix": "/"}]


def test_hosts_are_kept_apart(build: Any, settings: Settings) -> None:
    seen = build.seen(
        build.service("iris"),
        build.virtual_service(build.split(build.to("iris"), prefix="/a/"), name="a", hosts=["a.example.org"]),
        build.virtual_service(build.split(build.to("iris"), prefix="/b/"), name="b", hosts=["b.example.org"]),
    )
    rendered = render(seen, settings)
    assert [route["match"]["prefix"] for route in routes(rendered, "a.example.org")] == ["/a/"]
    assert [route["match"]["prefix"] for route in routes(rendered, "b.example.org")] == ["/b/"]


def test_several_mirrors_have_their_own_share(build: Any, settings: Settings) -> None:
    mirrors = [
        {"destination": build.to("b")["destination"], "percentage": {"value": 10}},
        {"destination": build.to("c")["destination"]},
    ]
    seen = build.seen(
        *(build.service(name) for name in "abc"), build.virtual_service(build.split(build.to("a"), mirrors=mirrors))
    )
    (route,) = routes(render(seen, settings))
    found = [
        (policy["cluster"], policy["runtime_fraction"]["default_value"]["numerator"])
        for policy in route["route"]["request_mirror_policies"]
    ]
    assert found == [("ml/b/8000", 100_000), ("ml/c/8000", 1_000_000)]


def test_a_grpc_port_is_spoken_to_in_http2_and_a_plain_tcp_port_is_passed_on(build: Any, settings: Settings) -> None:
    service = build.service("iris", {"name": "grpc", "port": 5001}, {"name": "data", "port": 6000})
    rendered = render(build.seen(service), settings)
    options = rendered.clusters["ml/iris/5001"]["typed_extension_protocol_options"]
    (filters,) = rendered.listeners["service/ml/iris/6000"]["filter_chains"]
    assert "http2_protocol_options" in next(iter(options.values()))["explicit_http_config"]
    assert filters["filters"][0]["name"] == "envoy.filters.network.tcp_proxy"


@pytest.mark.parametrize(("port", "protocol"), [(8000, "http/1.1"), (5001, "h2")])
def test_simple_tls_is_spoken_with_the_pods(build: Any, settings: Settings, port: int, protocol: str) -> None:
    rendered = render(build.seen(build.service("iris"), build.rule("iris", tls={"mode": "SIMPLE"})), settings)
    socket = rendered.clusters[f"ml/iris/{port}"]["transport_socket"]
    assert socket["typed_config"]["common_tls_context"]["alpn_protocols"] == [protocol]
    assert rendered.warnings == ()


def test_failed_connections_are_counted_apart_from_answers_where_a_rule_says_so(build: Any, settings: Settings) -> None:
    apart = {"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 3}
    found = render(build.seen(build.service("iris"), build.rule("iris", outlierDetection=apart)), settings)
    detection = found.clusters["ml/iris/8000"]["outlier_detection"]
    assert (detection["enforcing_consecutive_5xx"], detection["enforcing_consecutive_gateway_failure"]) == (0, 0)
    assert detection["split_external_local_origin_errors"] is True
    assert detection["consecutive_local_origin_failure"] == 3


def test_a_destination_rules_policy_shapes_its_clusters_and_what_is_not_supported_is_said(
    build: Any, settings: Settings
) -> None:
    rule = build.rule(
        "iris",
        connectionPool={"http": {"http1MaxPendingRequests": 7, "idleTimeout": "60s"}, "tcp": {"connectTimeout": "1s"}},
        outlierDetection={"consecutive5xxErrors": 3, "baseEjectionTime": "9s", "minHealthPercent": 20},
        tls={"mode": "ISTIO_MUTUAL"},
    )
    rendered = render(build.seen(build.service("iris"), rule), settings)
    found = rendered.clusters["ml/iris/8000"]
    options = next(iter(found["typed_extension_protocol_options"].values()))
    assert found["connect_timeout"] == "1s"
    assert found["circuit_breakers"]["thresholds"][0]["max_pending_requests"] == 7
    assert options["common_http_protocol_options"] == {"idle_timeout": "60s"}
    assert found["outlier_detection"]["consecutive_5xx"] == 3
    assert found["common_lb_config"]["healthy_panic_threshold"] == {"value": 20.0}
    assert rendered.warnings == ("DestinationRule ml/iris: trafficPolicy.tls is not supported by the local mesh",)
