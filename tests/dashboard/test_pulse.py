"""The pulse: a frozen API server is noticed though its watches stay open, and when it was last seen is known."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.kube.errors import ApiError, ForbiddenError, UnavailableError
from controller.kube.requests import Request
from seldon_rollouts.dashboard.feed import Feed
from seldon_rollouts.dashboard.pulse import PATIENCE, Pulse
from seldon_rollouts.dashboard.stream import events

from .test_feed import Watched

START = datetime(2026, 1, 1, tzinfo=UTC)
SILENT = UnavailableError(0, "Timeout", "no answer within 5 s")


class Server:
    """An API server that answers, refuses or is silent, while time goes on."""

    def __init__(self, *answers: ApiError | None) -> None:
        self.answers, self.now, self.watch = list(answers), START, ""

    async def send(self, request: Request, *, timeout: timedelta) -> dict[str, str]:  # noqa: ASYNC109 - as the client's
        assert (request.path, timeout) == ("/version", PATIENCE)
        self.now += timedelta(seconds=5)
        if (answer := self.answers.pop(0)) is not None:
            raise answer
        return {"gitVersion": "v1.30.0"}

    async def pulse(self) -> Pulse:
        made = Pulse(self, lambda: self.watch, now=lambda: self.now)  # type: ignore[arg-type]
        for _ in tuple(self.answers):
            await made.beat()
        return made


@pytest.mark.parametrize(
    ("answers", "problem", "seen"),
    [
        ((None, None), "", 10),
        ((None, SILENT, SILENT), "no answer within 5 s", 5),
        ((None, SILENT, None), "", 15),
        ((None, ForbiddenError(403, "Forbidden", "no")), "", 10),
        ((SILENT,), "no answer within 5 s", None),
    ],
    ids=["it answers", "it has frozen", "it thawed", "a refusal is an answer", "it never answered"],
)
async def test_who_does_not_answer_is_told_with_when_it_last_did(
    answers: tuple[ApiError | None, ...], problem: str, seen: int | None
) -> None:
    found = await Server(*answers).pulse()
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)
    assert found.seen == (None if seen is None else START + timedelta(seconds=seen))


async def test_what_is_shown_before_the_first_answer_was_seen_while_the_watch_followed() -> None:
    server = Server()
    pulse = await server.pulse()
    server.watch = "gone"
    pulse.shows()
    assert pulse.seen is None
    server.watch = ""
    pulse.shows()
    server.now += timedelta(seconds=9)
    pulse.shows()
    assert pulse.seen == START


async def test_while_the_watch_does_not_follow_what_is_shown_grows_older() -> None:
    server = Server(None, None)
    found = await server.pulse()
    server.watch, server.answers = "403 Forbidden", [None]
    await found.beat()
    assert (found.problem, found.seen) == ("403 Forbidden", START + timedelta(seconds=10))


async def test_a_viewer_is_told_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seldon_rollouts.dashboard.stream.LOOK_SECONDS", 0.01)
    found = await Server(None, SILENT).pulse()
    told = events(Feed(Watched(), now=lambda: START), found)
    assert (await anext(told)).startswith(b"event: changed")
    text = (await anext(told)).decode()
    await told.aclose()
    assert text.startswith("event: trouble\ndata: {")
    assert '"seen": "2026-01-01T00:00:05+00:00"' in text
