"""Names of hosts and clusters, and the addresses of Services."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.mesh.addresses import SIZE, assign, dotted, hosts_file, octet_of
from localcluster.mesh.names import ClusterKey, full_host, pod_address, service_of_host, shared_host
from localcluster.mesh.objects import Endpoint, Service

KEYS = st.lists(st.tuples(st.sampled_from(["ml", "default"]), st.text("abc-", min_size=1, max_size=6)), max_size=40)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("iris", ("ml", "iris")),
        ("iris.prod", ("prod", "iris")),
        ("iris.prod.svc", ("prod", "iris")),
        ("iris.prod.svc.cluster.local", ("prod", "iris")),
        ("Iris.Prod", ("prod", "iris")),
        ("api.example.org", None),
        ("*", None),
        ("*.prod", None),
    ],
)
def test_a_host_means_a_service_as_istio_reads_it(host: str, expected: tuple[str, str] | None) -> None:
    assert service_of_host(host, "ml") == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("iris", "iris.ml.svc.cluster.local"), ("*", "*"), ("a.example.org", "a.example.org")]
)
def test_a_short_host_is_a_service_of_the_same_namespace(host: str, expected: str) -> None:
    assert full_host(host, "ml") == expected


@pytest.mark.parametrize(
    ("wanted", "offered", "expected"),
    [
        ("*", "*", "*"),
        ("a.example.org", "*", "a.example.org"),
        ("*", "a.example.org", "a.example.org"),
        ("a.example.org", "*.example.org", "a.example.org"),
        ("*.example.org", "*.org", "*.example.org"),
        ("a.example.com", "*.example.org", None),
        ("example.org", "*.example.org", None),
    ],
)
def test_a_gateway_and_a_virtual_service_share_the_narrower_host(
    wanted: str, offered: str, expected: str | None
) -> None:
    assert shared_host(wanted, offered) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.1.0.2", "127.1.0.2"),
        ("127-1-0-2.ml.pod.cluster.local", "127.1.0.2"),
        ("model.example.org", "model.example.org"),
    ],
)
def test_a_pods_dns_name_spells_its_address(address: str, expected: str) -> None:
    assert pod_address(address) == expected


def test_a_clusters_name_has_slashes_and_no_dots() -> None:
    assert ClusterKey("ml", "iris", 8000, "canary").name == "ml/iris/8000/canary"
    assert ClusterKey("ml", "iris", 8000).name == "ml/iris/8000"


@given(KEYS)
def test_every_service_gets_an_address_of_its_own_in_the_range(keys: list[tuple[str, str]]) -> None:
    found = assign(keys, {})
    assert set(found) == set(keys)
    assert len(set(found.values())) == len(found)
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network("127.64.0.0/12") for address in found.values())


@given(KEYS, KEYS)
def test_an_address_that_was_given_stays_whatever_comes_and_goes(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    first = assign(before, {})
    second = assign(after, first)
    assert all(second[key] == first[key] for key in set(before) & set(after))


def test_the_same_services_get_the_same_addresses_in_another_life() -> None:
    keys = [("ml", f"service-{number}") for number in range(200)]
    assert assign(keys, {}) == assign(list(reversed(keys)), {})


def test_a_taken_address_is_stepped_over() -> None:
    address = assign([("ml", "a")], {})[("ml", "a")]
    found = assign([("ml", "a"), ("ml", "b")], {("ml", "b"): address})
    assert found[("ml", "b")] == address
    assert found[("ml", "a")] != address


def test_no_address_looks_like_a_network_or_a_broadcast() -> None:
    assert dotted(64, 0) is None
    assert dotted(64, 255) is None
    assert dotted(79, SIZE - 2) == "127.79.255.254"


def test_addresses_of_a_network_that_is_not_ours_any_more_are_given_anew() -> None:
    before = assign([("ml", "a")], {}, octet=65)
    assert octet_of(before) == 65
    assert assign([("ml", "a")], before, octet=70)[("ml", "a")].startswith("127.70.")


def test_the_hosts_file_names_a_service_in_three_ways_and_a_headless_one_by_its_pods() -> None:
    plain = Service(namespace="ml", name="iris", ports=())
    pods = (Endpoint(address="127.1.0.1", ports={}), Endpoint(address="127.1.0.2", ports={}))
    headless = Service(namespace="ml", name="pods", ports=(), headless=True, endpoints=pods)
    lines = hosts_file([headless, plain], {("ml", "iris"): "127.64.0.1"}).splitlines()[1:]
    assert lines == [
        "127.64.0.1 iris.ml.svc.cluster.local iris.ml.svc iris.ml",
        "127.1.0.1 pods.ml.svc.cluster.local pods.ml.svc pods.ml",
        "127.1.0.2 pods.ml.svc.cluster.local pods.ml.svc pods.ml",
    ]
