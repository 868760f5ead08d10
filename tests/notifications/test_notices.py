"""What is worth telling, and to whom: pure."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.notifications.configuration import Configuration, ConfigurationError, parse
from controller.notifications.messages import Mail, Post, message
from controller.notifications.notices import Notice, Trigger, notices
from controller.notifications.stuck import STUCK_AFTER

from .conftest import START, at, entry, rollout


def found(obj: dict[str, Any], since: float = 0, now: float = 100) -> list[tuple[str, int]]:
    return [(each.trigger.value, each.revision) for each in notices(obj, since=at(since), now=at(now))]


@pytest.mark.parametrize(
    ("kind", "trigger"),
    [
        ("RevisionCreated", "started"), ("StepCompleted", "step"), ("Promoted", "promoted"),
        ("RolledBack", "rolledBack"), ("ShadowEnded", "shadowed"), ("Paused", "paused"),
    ],
)  # fmt: skip
def test_an_entry_of_the_history_is_a_notice(kind: str, trigger: str) -> None:
    assert found(rollout(entry(1, kind), analysis={"verdict": "Good"})) == [(trigger, 2)]


def test_what_nobody_needs_to_hear_is_not_told() -> None:
    assert found(rollout(entry(1, "WeightSet"), entry(2, "Approved"))) == []


def test_what_was_told_before_is_not_told_again() -> None:
    assert found(rollout(entry(1, "RevisionCreated"), entry(5, "Promoted")), since=3) == [("promoted", 2)]


@pytest.mark.parametrize(
    ("verdict", "by", "trigger"),
    [("Inconclusive", "", "inconclusive"), ("NoData", "", "inconclusive"), ("Good", "", "paused"),
     ("Inconclusive", "ada", "paused")],
)  # fmt: skip
def test_a_pause_without_a_verdict_is_told_as_such(verdict: str, by: str, trigger: str) -> None:
    paused = rollout(entry(1, "Paused"), phase="Paused", analysis={"verdict": verdict}, pausedBy=by)
    assert found(paused) == [(trigger, 2)]


@pytest.mark.parametrize(
    ("kind", "minutes", "told"),
    [("pods", 16, ["stuck"]), ("pods", 14, []), ("person", 90, ["paused"]), ("time", 90, [])],
)
def test_a_rollout_that_waits_too_long_is_stuck(kind: str, minutes: float, told: list[str]) -> None:
    waiting = rollout(blockedOn={"kind": kind, "message": "0 of 2", "since": START.isoformat()})
    assert found(waiting, now=minutes) == [(each, 2) for each in told]


@pytest.mark.parametrize(("since", "told"), [(0, [("paused", 2)]), (4, [])])
def test_an_approval_that_is_waited_for_is_told_once_for_its_step(since: float, told: list[tuple[str, int]]) -> None:
    blocked = {"kind": "person", "message": "waiting for somebody to approve owner", "since": START.isoformat()}
    waiting = rollout(blockedOn=blocked, stepStartedAt=at(3).isoformat())
    assert found(waiting, since=since) == told


def test_the_same_event_is_the_same_notice_whoever_finds_it() -> None:
    first, second = (notices(rollout(entry(1, "Promoted")), since=START, now=at(now)) for now in (2, 50))
    assert first == second


def test_a_rollback_carries_its_reason_in_figures() -> None:
    reason = {"metric": "errorRate", "canary": 0.05, "evidence": 305.0, "samples": 501}
    rejected = [{"hash": "b", "number": 2, "at": at(1).isoformat(), "reason": reason}]
    (told,) = notices(rollout(entry(1, "RolledBack"), rejected=rejected), since=START, now=at(2))
    assert (told.reason["metric"], told.reason["samples"]) == ("errorRate", 501)


def test_a_status_that_cannot_be_read_is_not_told_of() -> None:
    assert found({"metadata": {}, "status": {"phase": "Imaginary"}}) == []


WHOLE = """
services:
  team: {slack: {url: "https://hooks.example/T/secret"}}
  room: {teams: {url: "https://teams.example/secret"}}
  alerts: {alertmanager: {url: "http://alertmanager:9093/"}}
  hook: {webhook: {url: "https://hook.example/x", headers: {Authorization: "Bearer secret"}}}
  mail: {email: {host: mail.example, sender: a@example.org, to: [b@example.org]}}
subscriptions:
- {services: [team, mail]}
- {services: [alerts], triggers: [rolledBack, stuck], namespaces: ["ml*"], labels: {team: a}}
dashboard: https://rollouts.example/
"""
NOTICE = Notice(
    id="u1/rolledBack/2/x", trigger=Trigger.ROLLED_BACK, namespace="ml", name="iris", labels={"team": "a"}, revision=2,
    phase="Degraded", message="5 % failed", at=START, reason={"metric": "errorRate"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "services"),
    [
        ({}, {"team", "mail", "alerts"}),
        ({"trigger": Trigger.PROMOTED}, {"team", "mail"}),
        ({"trigger": Trigger.STEP}, set()),
        ({"namespace": "other"}, {"team", "mail"}),
        ({"labels": {}}, {"team", "mail"}),
    ],
)
def test_a_subscription_says_which_rollouts_and_events_go_where(change: dict[str, Any], services: set[str]) -> None:
    fields = {name: getattr(NOTICE, name) for name in Notice.__dataclass_fields__}
    assert parse(WHOLE).services_for(Notice(**{**fields, **change})) == services


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "services: {a: {slack: {url: hooks}}}",
            "services.a.slack.url: expected an address that begins",
        ),
        ("services: {a: {}}", "exactly one of webhook, slack, teams, alertmanager, email; found none"),
        ("subscriptions: [{services: [x]}]", "'x' is not a service; there are none"),
        ("template: '${nobody}'", "names what there is not; expected"),
        ("subscriptions: [{services: [], triggers: [exploded]}]", "services"),
        ("a: [", "no YAML, line 1"),
        ("unknown: 1", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_file_is_told_with_its_field(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match="notifications") as told:
        parse(text)
    assert says in str(told.value)


def test_no_secret_is_quoted() -> None:
    with pytest.raises(ConfigurationError) as told:
        parse("services: {a: {slack: {url: 'ftp://top-secret'}}}")
    assert "top-secret" not in str(told.value) + repr(parse(WHOLE))


@pytest.mark.parametrize(
    ("service", "where", "says"),
    [
        ("team", "https://hooks.example/T/secret", "Rolled back: ml/iris, revision 2: rolledBack: 5 % failed"),
        ("room", "https://teams.example/secret", "AdaptiveCard"),
        ("alerts", "http://alertmanager:9093/", "SeldonRolloutRolledBack"),
        ("hook", "https://hook.example/x", "'trigger': 'rolledBack'"),
    ],
)
def test_each_kind_of_service_gets_what_it_takes(service: str, where: str, says: str) -> None:
    whole = parse(WHOLE)
    made = message(NOTICE, whole.services[service], whole)
    assert isinstance(made, Post)
    assert made.to.url.get_secret_value() == where
    assert says in str(made.body)
    assert "https://rollouts.example/#/ml/iris" in str(made.body)


def test_a_mail_has_its_figures_and_an_identity_of_its_own() -> None:
    whole = parse(WHOLE)
    made = message(NOTICE, whole.services["mail"], whole)
    assert isinstance(made, Mail)
    assert (made.message["Subject"], made.message["To"]) == ("Rolled back: ml/iris", "b@example.org")
    assert "metric: errorRate" in made.message.get_content()
    assert made.message["Message-ID"] == "<u1.rolledBack.2.x@rollouts.seldon.io>"


def test_an_alert_ends_by_itself() -> None:
    whole = parse(WHOLE)
    made = message(NOTICE, whole.services["alerts"], whole)
    assert isinstance(made, Post)
    (alert,) = made.body
    assert (made.path, alert["labels"]["severity"]) == ("/api/v2/alerts", "warning")
    assert alert["endsAt"] == (START + timedelta(hours=1)).isoformat()


def test_nothing_configured_tells_nobody() -> None:
    assert Configuration().services_for(NOTICE) == frozenset()
    assert timedelta(minutes=5) <= STUCK_AFTER


def test_the_example_of_the_page_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    example = parse(page.split("```yaml\n")[1].split("```")[0])
    assert set(example.services) == {"team", "room", "oncall", "hook", "mail"}
    assert example.services_for(NOTICE) == {"team", "mail"}
