"""What can be said of a container without running it: its words, its environment, its paths, its address."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.images import BUILT_IN, Catalogue, CatalogueError, Image, ImageNotFoundError, read, repository
from localcluster.node.addresses import AddressPool, NoAddressError, claim
from localcluster.node.environment import ConfigError, Facts, expand, field, formatted, quantity_of, resource, variables
from localcluster.node.paths import Mount, localize, mounts_of

POD = {
    "metadata": {"name": "p", "namespace": "ml", "uid": "u", "labels": {"app": "x"}, "annotations": {"a/b": "1"}},
    "spec": {"nodeName": "local", "containers": []},
}
OBJECTS = {
    ("configmaps", "c"): {"kind": "ConfigMap", "data": {"one": "1", "two": "2"}, "binaryData": {"raw": "aGk="}},
    ("secrets", "s"): {"kind": "Secret", "data": {"word": "c2VzYW1l"}},
}
FACTS = Facts(pod=POD, address="127.1.0.7", lookup=lambda plural, name: OBJECTS.get((plural, name)))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("a/b:1.2", "a/b"),
        ("host:5000/a/b", "host:5000/a/b"),
        ("host:5000/a/b:1@sha256:00", "host:5000/a/b"),
        ("busybox", "busybox"),
    ],
)
def test_an_image_is_known_by_its_name_without_tag_and_digest(image, expected):
    assert repository(image) == expected


@pytest.mark.parametrize("image", [f"{name}:1.0" for name, found in BUILT_IN.items() if found.argv])
def test_every_image_of_the_catalogue_runs_our_python(image):
    words = Catalogue.default().resolve({"name": "c", "image": image, "args": ["x"]}, None).argv
    assert words[:2] == (sys.executable, "-m")
    assert words[-1] == "x"


@pytest.mark.parametrize(
    ("container", "annotated", "expected"),
    [
        ({"image": "team/model:1", "args": ["--a"]}, None, ("serve", "it", "--a")),
        ({"image": "team/model/gpu:1"}, None, ("serve", "it")),
        ({"image": "docker.io/team/model:1"}, None, ("serve", "it")),
        ({"image": "team/model:1", "command": ["other"], "args": ["--a"]}, None, ("other", "--a")),
        ({"image": "nobody/knows"}, "run 'a b'", ("run", "a b")),
        ({"image": "busybox", "command": ["sleep", "1"]}, None, ("sleep", "1")),
    ],
)
def test_the_words_of_a_container_come_from_annotation_command_args_and_image(container, annotated, expected):
    catalogue = Catalogue.default().extended({"team/model": Image(("serve", "it"))})
    assert catalogue.resolve({"name": "c", **container}, annotated).argv == expected


@pytest.mark.parametrize("container", [{"image": "nobody/knows", "command": ["x"]}, {"image": "busybox"}, {}])
def test_a_container_without_words_is_refused_with_the_way_out(container):
    with pytest.raises(ImageNotFoundError, match=r"command\.c: <command line>"):
        Catalogue.default().resolve({"name": "c", **container}, None)


def test_an_annotation_that_cannot_be_split_is_named():
    with pytest.raises(ImageNotFoundError, match=r"command\.c: No closing quotation"):
        Catalogue.default().resolve({"name": "c", "image": "busybox"}, "run 'it")


def test_a_catalogue_file_adds_images(tmp_path: Path):
    file = tmp_path / "images.yaml"
    file.write_text("team/model:latest: [python, -m, served]\n")
    assert read(file) == {"team/model": Image(("python", "-m", "served"))}


@pytest.mark.parametrize("content", ["- a\n", "a: run it\n", "a: []\n", "a: {\n"])
def test_a_wrong_catalogue_file_is_named(tmp_path: Path, content: str):
    file = tmp_path / "images.yaml"
    file.write_text(content)
    with pytest.raises(CatalogueError, match=r"images\.yaml"):
        read(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/mnt/models", "/v/m"),
        ("/mnt/models/a.txt", "/v/m/a.txt"),
        ("--dir=/mnt/models", "--dir=/v/m"),
        ('{"value":"/mnt/models"}', '{"value":"/v/m"}'),
        ("file:///mnt/models/a", "file:///v/m/a"),
        ("/etc/podinfo:/mnt/models", "/v/p:/v/m"),
        ("/mnt/models/cache/x", "/v/c/x"),
        ("/mnt/models-old", "/mnt/models-old"),
        ("/mnt/models.old", "/mnt/models.old"),
        ("gs://bucket/mnt/models", "gs://bucket/mnt/models"),
        ("http://host/mnt/models", "http://host/mnt/models"),
        ("/other/mnt/models", "/other/mnt/models"),
    ],
)
def test_a_mount_path_becomes_its_folder_where_a_path_begins_and_nowhere_else(text, expected):
    mounts = [Mount("/mnt/models", "/v/m"), Mount("/etc/podinfo", "/v/p"), Mount("/mnt/models/cache", "/v/c")]
    assert localize(text, mounts) == expected


def test_mounts_know_their_sub_path():
    container = {"volumeMounts": [{"name": "v", "mountPath": "/a/", "subPath": "b/c"}]}
    assert mounts_of(container, {"v": "/folder"}) == (Mount("/a", "/folder/b/c"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)-$(B)", "1-$(B)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(A", "$(A"), ("$(A)$(A)", "11")],
)
def test_references_to_known_variables_are_replaced_and_others_stay(text, expected):
    assert expand(text, {"A": "1"}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['a/b']", "1"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="x"'),
        ("status.podIP", "127.1.0.7"),
        ("spec.serviceAccountName", "default"),
        ("spec.nodeName", "local"),
    ],
)
def test_the_downward_api_knows_the_fields_of_the_pod(path, expected):
    assert field(path, FACTS) == expected


def test_an_unknown_field_of_the_downward_api_is_named_with_what_there_is():
    with pytest.raises(ConfigError, match=r"'spec\.secret' is not one of"):
        field("spec.secret", FACTS)


def test_annotations_are_written_sorted_quoted_and_escaped():
    assert formatted({"b": "2", "a": 'x"\\\n'}) == 'a="x\\"\\\\\\n"\nb="2"'


def test_variables_of_a_container_are_gathered_in_order():
    container = {
        "name": "c",
        "resources": {"limits": {"memory": "1Gi"}},
        "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "none", "optional": True}}],
        "env": [
            {"name": "A", "value": "$(one)"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "word"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        ],
    }
    expected = {"one": "1", "two": "2", "raw": "hi", "A": "1", "B": "sesame", "C": "1024"}
    assert variables(container, FACTS) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, "env X: configmap 'none' does not exist"),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "env X: secret 's' has no key 'k'"),
        ({"mystery": {}}, "env X: valueFrom has none of"),
    ],
)
def test_a_variable_that_cannot_be_had_is_named(source, message):
    with pytest.raises(ConfigError, match=message):
        variables({"name": "c", "env": [{"name": "X", "valueFrom": source}]}, FACTS)


@pytest.mark.parametrize(
    ("text", "expected"), [("500m", 0.5), ("2", 2), ("1Gi", 2**30), ("1k", 1000), ("1e3", 1000), ("0.5Ki", 512)]
)
def test_quantities_are_numbers(text, expected):
    assert quantity_of(text) == pytest.approx(expected)


def test_a_resource_is_counted_in_its_divisor_rounded_up():
    container = {"resources": {"requests": {"cpu": "1500m"}}}
    assert resource({"resource": "requests.cpu"}, container) == "2"
    assert resource({"resource": "limits.cpu"}, container) == "0"


@given(st.lists(st.tuples(st.sampled_from(["take", "free"]), st.integers(0, 30)), max_size=200))
def test_no_two_pods_ever_have_the_same_address_and_a_pod_keeps_its_own(steps):
    pool = AddressPool(1)
    held: dict[str, str] = {}
    for what, number in steps:
        uid = str(number)
        if what == "free":
            pool.free(uid)
            held.pop(uid, None)
            continue
        address = pool.take(uid)
        assert held.setdefault(uid, address) == address
        assert address.startswith("127.1.")
        assert len(set(held.values())) == len(held)


def test_an_address_is_kept_over_a_restart_and_taken_again_when_it_is_free():
    pool = AddressPool(1)
    first = pool.take("a")
    again = AddressPool(1)
    again.restore(pool.state())
    assert again.take("a") == first
    assert again.take("b", wanted="127.1.9.9") == "127.1.9.9"
    assert again.take("c", wanted="127.1.9.9") != "127.1.9.9"
    assert again.take("d", wanted="127.2.0.1").startswith("127.1.")


def test_two_clusters_of_one_machine_never_share_a_network():
    one, two = claim(60), claim(60)
    try:
        assert one.octet == 60
        assert two.octet != 60
    finally:
        one.release()
        two.release()


def test_a_machine_full_of_clusters_says_so(monkeypatch):
    monkeypatch.setattr("localcluster.node.addresses.LAST", 0)
    with pytest.raises(NoAddressError, match="are all claimed"):
        claim()
