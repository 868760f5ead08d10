"""Messages: a notice as what each kind of service takes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from controller.notifications.configuration import Configuration, Email, Service, Web
from controller.notifications.notices import URGENT, Notice, Trigger

ALERT_LASTS = timedelta(hours=1)
_TITLES = {
    Trigger.STARTED: "Rollout started",
    Trigger.STEP: "Step completed",
    Trigger.PAUSED: "Rollout waits for a person",
    Trigger.INCONCLUSIVE: "No verdict: rollout waits for a person",
    Trigger.PROMOTED: "Promoted",
    Trigger.ROLLED_BACK: "Rolled back",
    Trigger.SHADOWED: "Shadow ended",
    Trigger.STUCK: "Rollout is stuck",
}


@dataclass(frozen=True, slots=True)
class Post:
    """A POST of JSON."""

    to: Web
    body: Any
    path: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, and through which server it goes."""

    through: Email
    message: EmailMessage


def message(notice: Notice, service: Service, configuration: Configuration) -> Post | Mail:
    """Return what is sent to a service."""
    text, link = configuration.text(notice), configuration.link(notice)
    if service.email is not None:
        return Mail(service.email, _mail(notice, service.email, text, link))
    if service.slack is not None:
        shown = f"{text}\n{link}" if link else text
        return Post(service.slack, {"text": f"{_TITLES[notice.trigger]}: {shown}"})
    if service.teams is not None:
        return Post(service.teams, _card(notice, text, link))
    if service.alertmanager is not None:
        return Post(service.alertmanager, [_alert(notice, text, link)], path="/api/v2/alerts")
    assert service.webhook is not None
    return Post(service.webhook, _plain(notice, text, link))


def _plain(notice: Notice, text: str, link: str) -> Mapping[str, Any]:
    return {
        "id": notice.id,
        "trigger": notice.trigger.value,
        "namespace": notice.namespace,
        "name": notice.name,
        "revision": notice.revision,
        "phase": notice.phase,
        "message": notice.message,
        "at": notice.at.isoformat(),
        "reason": dict(notice.reason),
        "text": text,
        "link": link,
    }


def _mail(notice: Notice, through: Email, text: str, link: str) -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = f"{_TITLES[notice.trigger]}: {notice.namespace}/{notice.name}"
    made["From"], made["To"] = through.sender, ", ".join(through.to)
    made["Message-ID"] = f"<{notice.id.replace('/', '.').replace(':', '')}@rollouts.seldon.io>"
    made.set_content("\n".join(filter(None, [text, "", *_figures(notice), link])) + "\n")
    return made


def _figures(notice: Notice) -> list[str]:
    return [f"{name}: {value}" for name, value in notice.reason.items()]


def _card(notice: Notice, text: str, link: str) -> Mapping[str, Any]:
    facts = [{"title": name, "value": str(value)} for name, value in notice.reason.items()]
    title = {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "text": _TITLES[notice.trigger]}
    body: list[Any] = [title, {"type": "TextBlock", "text": text, "wrap": True}]
    card = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [*body, {"type": "FactSet", "facts": facts}] if facts else body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": link}] if link else [],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _alert(notice: Notice, text: str, link: str) -> Mapping[str, Any]:
    labels = {
        "alertname": f"SeldonRollout{notice.trigger.value[0].upper()}{notice.trigger.value[1:]}",
        "namespace": notice.namespace,
        "rollout": notice.name,
        "revision": str(notice.revision),
        "severity": "warning" if notice.trigger in URGENT else "info",
    }
    return {
        "labels": labels,
        "annotations": {"summary": _TITLES[notice.trigger], "description": text},
        "startsAt": notice.at.isoformat(),
        "endsAt": (notice.at + ALERT_LASTS).isoformat(),
        **({"generatorURL": link} if link else {}),
    }
