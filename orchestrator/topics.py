"""The topics that are read, written and logged to, and how their broker is reached: upstream's flags and variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import SettingsError
from orchestrator.golang import boolean, variable

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_BROKER = re.compile(r"[^\s,:]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MOST_WORKERS = 1024
_LOG_TOPIC = "seldon"  # upstream's


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How connections to the broker are kept from others. What is secret is in no `repr`.

    Certificates are PEM or files with such; without an authority those count whom the system trusts.
    """

    protocol: str = "PLAINTEXT"
    authority: str = ""
    authority_file: str = ""
    certificate: str = field(default="", repr=False)
    certificate_file: str = ""
    key: str = field(default="", repr=False)
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether connections have TLS."""
        return self.protocol in {"SSL", "SASL_SSL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Where messages come from and where their answers go.

    Args:
        brokers: as `host:port`, separated by commas.
        group: the consumer group whose members share the partitions.
        source: the topic that is read.
        target: the topic of the answers.
        workers: messages under way at a time.
        at_intervals: whether what is answered is committed every few seconds, or at once.
        protobuf: whether every message is protobuf.
    """

    brokers: str
    group: str
    source: str
    target: str
    workers: int
    at_intervals: bool
    protobuf: bool
    security: Security


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTopic:
    """Where payloads are logged to. `brokers` as `host:port`, separated by commas."""

    brokers: str
    name: str
    security: Security


def log_topic(flags: Mapping[str, Any], environment: Mapping[str, str]) -> LogTopic | None:
    """Read what is said of the topic for payloads, None without a broker; flags win over variables.

    Raises:
        SettingsError: it cannot be used; the message names it.
    """
    brokers = str(flags.get("log_kafka_broker") or environment.get("LOGGER_KAFKA_BROKER") or "")
    if not brokers:
        return None
    name = str(flags.get("log_kafka_topic") or environment.get("LOGGER_KAFKA_TOPIC") or _LOG_TOPIC)
    if not all(_BROKER.fullmatch(part) for part in brokers.split(",")):
        raise SettingsError(
            f"LOGGER_KAFKA_BROKER: {brokers!r} is not valid; expected host:port, several separated by commas"
        )
    if not _TOPIC.fullmatch(name):
        raise SettingsError(f"LOGGER_KAFKA_TOPIC: {name!r} is not valid; expected the name of a topic")
    return LogTopic(brokers=brokers, name=name, security=security(environment))


def topics(flags: Mapping[str, Any], environment: Mapping[str, str], group: str) -> Topics:
    """Read what is said of topics; flags win over variables.

    Raises:
        SettingsError: something is missing or cannot be used; the message names it.
    """

    def said(name: str) -> str:
        return str(flags.get(f"kafka_{name}") or environment.get(f"KAFKA_{name.upper()}") or "")

    def needed(name: str, expected: str, form: re.Pattern[str]) -> str:
        value = said(name)
        if not all(form.fullmatch(part) for part in value.split(",")):
            raise SettingsError(f"KAFKA_{name.upper()}: {value!r} is not valid; expected {expected}")
        return value

    source = needed("input_topic", "the name of the topic to read", _TOPIC)
    target = needed("output_topic", "the name of the topic for answers", _TOPIC)
    if source == target:
        raise SettingsError(f"KAFKA_OUTPUT_TOPIC: {target!r} is not valid; expected another topic than the one read")
    if variable("KAFKA_FULL_GRAPH", said("full_graph") or "false", boolean):
        raise SettingsError(
            "KAFKA_FULL_GRAPH: 'true' is not valid; expected false: nodes are called over REST or gRPC. Where parts of "
            "a graph are to have a topic between them, each is a SeldonDeployment that reads what the one before writes"
        )
    workers = said("workers") or "4"
    if not (workers.isascii() and workers.isdigit() and 1 <= int(workers) <= _MOST_WORKERS):
        raise SettingsError(
            f"KAFKA_WORKERS: {workers!r} is not valid; expected messages at a time, 1 to {_MOST_WORKERS}"
        )
    return Topics(
        brokers=needed("broker", "host:port, several separated by commas", _BROKER),
        group=group,
        source=source,
        target=target,
        workers=int(workers),
        at_intervals=variable("KAFKA_AUTO_COMMIT", said("auto_commit") or "true", boolean),
        protobuf=flags.get("transport") == "grpc",
        security=security(environment),
    )


def security(environment: Mapping[str, str]) -> Security:
    """Read how the broker is reached. Raises SettingsError; its message has no secret."""
    written = environment.get("KAFKA_SECURITY_PROTOCOL") or ""
    protocol = "PLAINTEXT" if written.lower() in {"", "none"} else written.upper()
    if protocol not in _PROTOCOLS:
        raise SettingsError(
            f"KAFKA_SECURITY_PROTOCOL: {written!r} is not valid; expected one of {', '.join(_PROTOCOLS)}"
        )

    def said(name: str) -> str:
        return environment.get(f"KAFKA_{name}") or ""

    mechanism = (said("SASL_MECHANISM") or "PLAIN").upper()
    if protocol.startswith("SASL"):
        if mechanism not in _MECHANISMS:
            raise SettingsError(
                f"KAFKA_SASL_MECHANISM: {mechanism!r} is not valid; expected one of {', '.join(_MECHANISMS)}"
            )
        for name in ("SASL_USERNAME", "SASL_PASSWORD"):
            if not said(name):
                raise SettingsError(f"KAFKA_{name}: '' is not valid; expected a value for {protocol}")
    found = Security(
        protocol=protocol,
        authority=said("SSL_CA_CERT"),
        authority_file=said("SSL_CA_CERT_FILE"),
        certificate=said("SSL_CLIENT_CERT"),
        certificate_file=said("SSL_CLIENT_CERT_FILE"),
        key=said("SSL_CLIENT_KEY"),
        key_file=said("SSL_CLIENT_KEY_FILE"),
        key_password=said("SSL_CLIENT_KEY_PASS"),
        mechanism=mechanism,
        username=said("SASL_USERNAME"),
        password=said("SASL_PASSWORD"),
    )
    for one, other, name in (
        (found.certificate, found.key, "KAFKA_SSL_CLIENT_KEY"),
        (found.key, found.certificate, "KAFKA_SSL_CLIENT_CERT"),
        (found.certificate_file, found.key_file, "KAFKA_SSL_CLIENT_KEY_FILE"),
        (found.key_file, found.certificate_file, "KAFKA_SSL_CLIENT_CERT_FILE"),
    ):
        if one and not other:
            raise SettingsError(f"{name}: '' is not valid; expected the other half of the client's certificate")
    return found
