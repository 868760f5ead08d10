"""Messages as requests, answers as messages, and how far a topic is answered: without a broker."""

import shutil
import subprocess
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clients import broker
from orchestrator.errors import BadPayloadError, SettingsError
from orchestrator.protocols.payload import Form, Payload
from orchestrator.servers import records
from orchestrator.servers.progress import Progress
from orchestrator.topics import topics


class Message(NamedTuple):
    """A message as a broker gives it."""

    value: bytes | None = b"{}"
    headers: tuple = ()
    key: bytes | None = b"k"
    topic: str = "in"
    partition: int = 2
    offset: int = 7


@pytest.mark.parametrize(
    ("headers", "all_are", "form"),
    [
        ((), False, Form.JSON),
        ((), True, Form.PROTO),
        ((("content-type", b"application/json"),), False, Form.JSON),
        ((("Content-Type", b"application/x-protobuf"),), False, Form.PROTO),
        ((("proto-name", b"inference.ModelInferRequest"),), False, Form.PROTO),
    ],
)
def test_a_message_is_json_unless_it_says_protobuf(headers, all_are, form):
    assert records.payload(Message(headers=headers), longest=9, protobuf=all_are).form is form


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (Message(None), BadPayloadError, "has no value"),
        (Message(b"0123456789"), records.TooLongError, "has 10 bytes; expected 9 at most"),
        (Message(headers=(("Inference-Header-Content-Length", b"x"),)), BadPayloadError, "Inference-Header"),
    ],
)
def test_a_message_that_is_no_request_is_told(message, error, words):
    with pytest.raises(error, match=words):
        records.payload(message, longest=9, protobuf=False)


def test_compression_and_the_length_of_the_json_go_along():
    message = Message(headers=(("Content-Encoding", b"gzip"), ("inference-header-content-length", b"2")))

    found = records.payload(message, longest=9, protobuf=False)

    assert (found.encoding, found.split) == (b"gzip", 2)


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (("Trace", b"1"), [(b"trace", b"1")]),
        (("a b", b"1"), []),
        (("a", b"1\r\nx: y"), []),
        (("a", None), []),
        (("a", b"y" * 9000), []),
        (("Content-Length", b"5"), []),
        (("seldon-puid", b"p"), []),
        (("Accept-Encoding", b"gzip"), []),
    ],
)
def test_nodes_get_the_headers_that_a_request_could_have_had(header, kept):
    assert records.headers(Message(headers=(header,))) == kept


@given(st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8))))
def test_no_header_of_a_message_begins_another_line(headers):
    lines = b"".join(b"%b: %b" % each for each in records.headers(Message(headers=tuple(headers))))

    assert not {b"\r", b"\n", b"\0"} & {lines[index : index + 1] for index in range(len(lines))}


@pytest.mark.parametrize(("value", "puid"), [(b"p-1", b"p-1"), (b" p ", b"p"), (b"p\n", b""), (None, b"")])
def test_an_id_that_can_be_handed_on_is_kept(value, puid):
    assert records.puid(Message(headers=(("seldon-PUID", value),))) == puid


def test_an_answer_has_the_key_and_all_headers_but_those_of_one_message():
    message = Message(headers=(("a", b"1"), ("a", b"\n"), ("content-type", b"x"), ("Seldon-Error", b"OLD")))

    answer = records.answer(message, b"p", Payload(b"[]", b"text/plain", b"gzip", split=2))

    assert answer == records.Answer(
        b"k",
        b"[]",
        (
            ("a", b"1"), ("a", b"\n"), ("Seldon-Puid", b"p"), ("Seldon-Source", b"in/2/7"),
            ("content-type", b"text/plain"), ("content-encoding", b"gzip"), ("inference-header-content-length", b"2"),
        ),
    )  # fmt: skip


def test_a_bare_refusal_leaves_out_what_was_brought_along():
    answer = records.refusal(Message(headers=(("a", b"1"),)), b"p", BadPayloadError("no"), bare=True)

    assert [name for name, _ in answer.headers] == [
        "Seldon-Puid", "Seldon-Source", "content-type", "Seldon-Status", "Seldon-Error"
    ]  # fmt: skip
    assert answer.key == b"k"


@given(st.permutations(range(6)), st.integers(0, 6))
def test_nothing_is_committed_before_all_before_it_is_answered(order, answered):
    progress = Progress()
    parts = {offset: progress.taken(0, offset) for offset in range(6)}

    for offset in order[:answered]:
        progress.ended(parts[offset], offset)

    first_open = min(set(range(6)) - set(order[:answered]), default=6)
    assert progress.to_commit() == ({0: first_open} if first_open else {})


def test_what_was_taken_before_a_partition_came_back_says_nothing_of_it():
    progress = Progress()
    early = progress.taken(0, 5)
    progress.forget([0])
    progress.taken(0, 5)

    progress.ended(early, 5)

    assert (progress.to_commit(), progress.under_way([0]), progress.under_way([1])) == ({}, True, False)


def test_what_is_committed_is_not_committed_again():
    progress = Progress()
    progress.ended(progress.taken(3, 8), 8)
    progress.committed(found := progress.to_commit())

    assert (found, progress.to_commit()) == ({3: 9}, {})


SAID = {"KAFKA_BROKER": "a:1,b:2", "KAFKA_INPUT_TOPIC": "in", "KAFKA_OUTPUT_TOPIC": "out"}


def test_variables_say_what_is_read_and_flags_win():
    found = topics({"kafka_workers": "7", "transport": "grpc"}, {**SAID, "KAFKA_WORKERS": "2"}, "g")

    assert (found.brokers, found.source, found.target, found.group) == ("a:1,b:2", "in", "out", "g")
    assert (found.workers, found.at_intervals, found.protobuf) == (7, True, True)
    assert topics({}, SAID, "g").workers == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"KAFKA_BROKER": ""}, "KAFKA_BROKER: '' is not valid"),
        ({"KAFKA_BROKER": "a"}, "KAFKA_BROKER: 'a' is not valid; expected host:port"),
        ({"KAFKA_INPUT_TOPIC": ""}, "KAFKA_INPUT_TOPIC: ''"),
        ({"KAFKA_OUTPUT_TOPIC": "a/b"}, "KAFKA_OUTPUT_TOPIC: 'a/b'"),
        ({"KAFKA_OUTPUT_TOPIC": "in"}, "KAFKA_OUTPUT_TOPIC: 'in' is not valid; expected another topic"),
        ({"KAFKA_WORKERS": "0"}, "KAFKA_WORKERS: '0'"),
        ({"KAFKA_AUTO_COMMIT": "maybe"}, "KAFKA_AUTO_COMMIT: 'maybe'"),
        ({"KAFKA_FULL_GRAPH": "true"}, "KAFKA_FULL_GRAPH: 'true' is not valid; expected false"),
        ({"KAFKA_SECURITY_PROTOCOL": "tls"}, "KAFKA_SECURITY_PROTOCOL: 'tls'"),
        ({"KAFKA_SECURITY_PROTOCOL": "sasl_ssl"}, "KAFKA_SASL_USERNAME: ''"),
        ({"KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: 'GSSAPI'"),
        ({"KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_SSL_CLIENT_CERT_FILE": "/c"}, "KAFKA_SSL_CLIENT_KEY_FILE: ''"),
    ],
)
def test_what_is_said_of_topics_and_cannot_be_used_is_told(change, words):
    with pytest.raises(SettingsError, match=words):
        topics({}, {**SAID, **change}, "g")


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({}, {"security_protocol": "PLAINTEXT"}),
        (
            {"KAFKA_SECURITY_PROTOCOL": "sasl_plaintext", "KAFKA_SASL_MECHANISM": "scram-sha-512"},
            {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"},
        ),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}),
    ],
)
def test_the_broker_is_reached_as_its_variables_say(security, expected):
    secret = {"KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "hidden"}
    found = topics({}, {**SAID, **security, **secret}, "g")

    said = broker.connection(found.brokers, found.group, found.security)

    assert {name: said[name] for name in expected} == expected
    assert said.get("sasl_plain_password") == ("hidden" if "sasl_mechanism" in expected else None)
    assert ("ssl_context" in said) is found.security.encrypted
    assert "hidden" not in repr(found)


def test_certificates_come_as_text_or_as_files(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=broker"
    command += " -keyout tls.key -out tls.crt"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    shown, key = (tmp_path / "tls.crt", tmp_path / "tls.key")
    files = {"CA_CERT_FILE": shown, "CLIENT_CERT_FILE": shown, "CLIENT_KEY_FILE": key}
    texts = {"CA_CERT": shown.read_text(), "CLIENT_CERT": shown.read_text(), "CLIENT_KEY": key.read_text()}

    for said in (files, texts):
        variables = {f"KAFKA_SSL_{name}": str(value) for name, value in said.items()}
        found = topics({}, {**SAID, "KAFKA_SECURITY_PROTOCOL": "SSL", **variables}, "g")
        assert len(broker._context(found.security).get_ca_certs()) == 1
        assert "PRIVATE KEY" not in repr(found)


def test_certificates_that_cannot_be_used_are_told():
    found = topics({}, {**SAID, "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_CERT_FILE": "/nowhere"}, "g")

    with pytest.raises(SettingsError, match="certificates cannot be used"):
        broker._context(found.security)
