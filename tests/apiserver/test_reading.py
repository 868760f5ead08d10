"""What comes from outside is read or refused, never stumbled over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.apiserver import cells, jsonpath, negotiation, protobuf, selectors
from localcluster.apiserver.auth import read_tokens
from localcluster.apiserver.errors import ApiError


def message(number, payload):
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def outcome(read, *arguments, error=ApiError):
    """What became of reading: "read", the code of an ApiError, or the words of another error."""
    try:
        read(*arguments)
    except error as refused:
        return refused.code if isinstance(refused, ApiError) else str(refused)
    return "read"


def wrapped(api_version, kind, raw):
    return b"k8s\x00" + message(1, message(1, api_version) + message(2, kind)) + message(2, raw)


def test_protobuf_is_read_as_the_object_that_it_is():
    metadata = message(1, b"a") + message(11, message(1, b"k") + message(2, b"v"))
    data = message(2, message(1, b"key") + message(2, b"value"))
    assert protobuf.decode(wrapped(b"v1", b"ConfigMap", message(1, metadata) + data)) == {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"k": "v"}}, "data": {"key": "value"},
    }  # fmt: skip


def test_numbers_and_times_of_protobuf_are_those_of_json():
    # replicas is a pointer: zero says something; minReadySeconds is not: zero says nothing.
    spec = bytes([1 << 3, 0, 4 << 3, 0])
    read = protobuf.decode(wrapped(b"apps/v1", b"ReplicaSet", message(2, spec)))
    assert read["spec"] == {"replicas": 0}
    moment = b"\x08" + varint(1_704_067_200) + b"\x10" + varint(5_000)
    lease = protobuf.decode(wrapped(b"coordination.k8s.io/v1", b"Lease", message(2, message(3, moment))))
    assert lease["spec"] == {"acquireTime": "2024-01-01T00:00:00.000005Z"}


@given(st.binary(max_size=60))
def test_any_bytes_are_protobuf_or_a_bad_request(raw):
    for body in (raw, b"k8s\x00" + raw, wrapped(b"v1", b"Pod", raw)):
        assert outcome(protobuf.decode, body) in ("read", 400)


MEDIA = st.sampled_from(["application/json", "application/yaml", "", "text/plain", protobuf.MEDIA_TYPE])


@given(st.binary(max_size=60), MEDIA)
def test_any_body_is_data_or_refused(body, media):
    assert outcome(negotiation.decode, body, media) in ("read", 400, 415)


@given(st.text(max_size=30))
def test_any_text_is_a_selector_or_a_bad_request(text):
    assert outcome(lambda: selectors.labels(text).matches({"a": "b"})) in ("read", 400)


@given(st.text(alphabet=".[]'@?*()=!ab0\\\"", max_size=20))
def test_any_path_is_a_jsonpath_or_a_value_error(text):
    said = outcome(jsonpath.values, {"a": {"b": [1, {"a": 2}]}}, text, error=ValueError)
    assert said == "read" or said.startswith("JSONPath")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".a.b", [1]),
        ("{.a.b}", [1]),
        ("a.b", [1]),
        (".a['b']", [1]),
        (".list[0].name", ["x"]),
        (".list[-1].name", ["y"]),
        (".list[*].name", ["x", "y"]),
        ('.list[?(@.name=="y")].value', [2]),
        ('.list[?(@.name!="y")].value', [1]),
        (r".dotted\.key", [3]),
        (".missing.deep", []),
        (".list[7]", []),
    ],
)
def test_printer_columns_find_their_values(path, expected):
    obj = {"a": {"b": 1}, "list": [{"name": "x", "value": 1}, {"name": "y", "value": 2}], "dotted.key": 3}
    assert jsonpath.values(obj, path) == expected


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (180_000, "2d2h"), (691_200, "8d"),
        (63_072_000, "2y"), (70_000_000, "2y80d"),
    ],
)  # fmt: skip
def test_ages_are_shown_as_kubectl_shows_them(seconds, shown):
    assert jsonpath.duration(seconds) == shown


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ([], "Running"),
        ([("FailureTarget", "True")], "Running"),
        ([("Failed", "True")], "Failed"),
        ([("Complete", "True")], "Complete"),
        ([("Suspended", "False")], "Running"),
        ([("Suspended", "True")], "Suspended"),
    ],
)
def test_a_job_is_shown_with_its_end(told, shown):
    assert cells.job_state({"status": {"conditions": [{"type": kind, "status": so} for kind, so in told]}}) == shown


def test_a_token_file_is_read_as_kube_apiserver_reads_it():
    users = read_tokens('abc,alice,1,"one,two"\n# a comment\n\ndef,bob,2\n')
    assert users["abc"].name == "alice"
    assert users["abc"].groups == ("one", "two", "system:authenticated")
    assert users["def"].groups == ("system:authenticated",)


@pytest.mark.parametrize("text", ["abc\n", "abc,alice\n", ",alice,1\n", "abc,,1\n"])
def test_a_token_file_that_is_malformed_names_its_line(text):
    with pytest.raises(ValueError, match="line 1"):
        read_tokens(text)


def test_a_number_where_a_message_belongs_is_a_bad_request():
    inlined = bytes([1 << 3, 7])  # field 1 of a Volume's source as a varint
    volumes = bytes([(1 << 3) | 2, len(inlined) + 2, (2 << 3), 7]) + inlined
    assert outcome(protobuf.decode, wrapped(b"v1", b"Pod", bytes([(2 << 3) | 2, len(volumes)]) + volumes)) == 400
