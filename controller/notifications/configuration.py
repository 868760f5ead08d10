"""What is told to whom: one YAML file, mounted from a Secret since it holds addresses that nobody else should know."""

from fnmatch import fnmatchcase
from string import Template
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from controller.errors import ControllerError, plain
from controller.notifications.notices import Notice, Trigger

FIELDS = ("namespace", "name", "trigger", "revision", "phase", "message", "link")
"""What a template may name, as `${message}`."""


class ConfigurationError(ControllerError):
    """The file cannot be used; the text names the field, the value and what would be right."""


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class Web(_Model):
    """An address that takes a POST."""

    url: SecretStr
    headers: dict[str, SecretStr] = {}
    insecure: bool = False
    """Do not verify the server's certificate."""

    @field_validator("url")
    @classmethod
    def _http(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with http:// or https://")
        return url


class Email(_Model):
    """A mail server."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]


class Service(_Model):
    """Where to tell it: exactly one kind."""

    webhook: Web | None = None
    slack: Web | None = None
    teams: Web | None = None
    alertmanager: Web | None = None
    email: Email | None = None
    per_minute: Annotated[int, Field(ge=1, le=6000)] = 60
    """At most so many; the others wait."""

    @model_validator(mode="after")
    def _one(self) -> "Service":
        kinds = ("webhook", "slack", "teams", "alertmanager", "email")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a service has exactly one of {', '.join(kinds)}; found {', '.join(given) or 'none'}")
        return self


class Subscription(_Model):
    """Which rollouts, of which events, to which services."""

    services: Annotated[tuple[str, ...], Field(min_length=1)]
    triggers: tuple[Trigger, ...] = tuple(trigger for trigger in Trigger if trigger is not Trigger.STEP)
    namespaces: tuple[str, ...] = ("*",)
    """Names, or patterns such as `ml-*`."""
    labels: dict[str, str] = {}
    """Which the rollout must have."""

    def wants(self, notice: Notice) -> bool:
        """Say whether a notice is told."""
        return (
            notice.trigger in self.triggers
            and any(fnmatchcase(notice.namespace, pattern) for pattern in self.namespaces)
            and self.labels.items() <= dict(notice.labels).items()
        )


class Configuration(_Model):
    """The whole file."""

    services: dict[str, Service] = {}
    subscriptions: tuple[Subscription, ...] = ()
    template: str = "${namespace}/${name}, revision ${revision}: ${trigger}: ${message}"
    """The text of a message."""
    dashboard: str = ""
    """The dashboard's address, for links."""

    @field_validator("template")
    @classmethod
    def _known(cls, text: str) -> str:
        template = Template(text)
        if not template.is_valid() or not set(template.get_identifiers()) <= set(FIELDS):
            raise ValueError(f"{text!r} names what there is not; expected ${{...}} of {', '.join(FIELDS)}")
        return text

    @model_validator(mode="after")
    def _all_known(self) -> "Configuration":
        for number, subscription in enumerate(self.subscriptions):
            for name in subscription.services:
                if name not in self.services:
                    known = ", ".join(self.services) or "none"
                    raise ValueError(f"subscriptions[{number}].services: {name!r} is not a service; there are {known}")
        return self

    def services_for(self, notice: Notice) -> frozenset[str]:
        """Return the names of the services that are told."""
        return frozenset(name for each in self.subscriptions if each.wants(notice) for name in each.services)

    def text(self, notice: Notice) -> str:
        """Return the message's text."""
        said = {"namespace": notice.namespace, "name": notice.name, "trigger": notice.trigger.value}
        more = {"revision": notice.revision, "phase": notice.phase, "message": notice.message}
        return Template(self.template).substitute(**said, **more, link=self.link(notice))

    def link(self, notice: Notice) -> str:
        """Return where the dashboard shows the rollout; empty when there is none."""
        return f"{self.dashboard.rstrip('/')}/#/{notice.namespace}/{notice.name}" if self.dashboard else ""


def parse(text: str) -> Configuration:
    """Read the file.

    Raises:
        ConfigurationError: it is no YAML, or a field is wrong; no secret is quoted.
    """
    try:
        found: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigurationError(f"notifications: no YAML{where}") from None
    try:
        return Configuration.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"notifications: {path}: {plain(first['msg'])}".replace(": :", ":")) from None
