"""Sending: a message goes out, or says in one line why not; no address and no secret is ever in that line."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from controller import clock
from controller.notifications.configuration import Email
from controller.notifications.messages import Mail, Post

TIMEOUT = 10.0
"""Seconds that a web service has for each part of an exchange, and a mail server for each of its words."""
WHOLE = 20.0
"""Seconds that a web service has for a whole exchange: bytes that come one by one are in time, each for itself."""
PATIENCE = timedelta(hours=1)
"""No service is left alone for longer, whatever it asks."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not taken, and how long the service asks to be left alone."""

    problem: str
    wait: timedelta = timedelta(0)


async def send(message: Post | Mail) -> Failure | None:
    """Send a message; return None when it was taken, else what went wrong."""
    if isinstance(message, Post):
        return await _post(message)
    return await asyncio.to_thread(_mail, message)


async def _post(post: Post) -> Failure | None:
    """Redirects are not followed, since they would carry our headers elsewhere; no answer's body is read."""
    url = post.to.url.get_secret_value()
    headers = {name: value.get_secret_value() for name, value in post.to.headers.items()}
    where = url.rstrip("/") + post.path if post.path else url
    try:
        async with (
            asyncio.timeout(WHOLE),
            httpx.AsyncClient(timeout=TIMEOUT, verify=not post.to.insecure, trust_env=False) as client,
            client.stream("POST", where, json=post.body, headers=headers) as answer,
        ):
            if answer.is_success:
                return None
            return Failure(f"HTTP {answer.status_code}", asked_for(answer.headers.get("retry-after", ""), clock.now()))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Failure(type(error).__name__)


def asked_for(retry_after: str, now: datetime) -> timedelta:
    """Return how long a `Retry-After` asks to wait: seconds, or until a date (RFC 9110, section 10.2.3)."""
    try:
        wait = (
            timedelta(seconds=int(retry_after)) if retry_after.isdecimal() else parsedate_to_datetime(retry_after) - now
        )
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    return min(max(wait, timedelta(0)), PATIENCE)


def _mail(mail: Mail) -> Failure | None:
    through = mail.through
    connect: Callable[[], smtplib.SMTP] = _secure(through) if through.security == "tls" else _plain(through)
    try:
        with connect() as server:
            if through.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if through.username:
                server.login(through.username, through.password.get_secret_value())
            server.send_message(mail.message)
    except (smtplib.SMTPException, OSError) as error:
        return Failure(type(error).__name__)
    return None


def _plain(through: Email) -> Callable[[], smtplib.SMTP]:
    return lambda: smtplib.SMTP(through.host, through.port, timeout=TIMEOUT)


def _secure(through: Email) -> Callable[[], smtplib.SMTP]:
    context = ssl.create_default_context()
    return lambda: smtplib.SMTP_SSL(through.host, through.port, timeout=TIMEOUT, context=context)
