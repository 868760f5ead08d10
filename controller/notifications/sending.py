"""Sending: a message goes out, or says in one line why not; no address and no secret is ever in that line."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable

import httpx

from controller.notifications.configuration import Email
from controller.notifications.messages import Mail, Post

TIMEOUT = 10.0


async def send(message: Post | Mail) -> str:
    """Send a message; return an empty text when it was taken, else what went wrong."""
    if isinstance(message, Post):
        return await _post(message)
    return await asyncio.to_thread(_mail, message)


async def _post(post: Post) -> str:
    url = post.to.url.get_secret_value()
    headers = {name: value.get_secret_value() for name, value in post.to.headers.items()}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, verify=not post.to.insecure, trust_env=False) as client:
            where = url.rstrip("/") + post.path if post.path else url
            answer = await client.post(where, json=post.body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return type(error).__name__
    return "" if answer.is_success else f"HTTP {answer.status_code}"


def _mail(mail: Mail) -> str:
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
        return type(error).__name__
    return ""


def _plain(through: Email) -> Callable[[], smtplib.SMTP]:
    return lambda: smtplib.SMTP(through.host, through.port, timeout=TIMEOUT)


def _secure(through: Email) -> Callable[[], smtplib.SMTP]:
    context = ssl.create_default_context()
    return lambda: smtplib.SMTP_SSL(through.host, through.port, timeout=TIMEOUT, context=context)
