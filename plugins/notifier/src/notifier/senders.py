"""Sending one notification by each kind of target."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import Any

import httpx

from notifier.targets import Target

TIMEOUT = 15.0
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_LONGEST_WAIT = 3600.0
_COLOR = 0x3B82F6


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be said.

    Attributes:
        id: the same for every attempt, so that receivers can tell a repetition.
        title: one line.
        text: the message.
        event: the event as the templates see it.
    """

    id: str
    title: str
    text: str
    event: Mapping[str, Any]


class NotSent(Exception):  # noqa: N818 - what happened, as in an except clause
    """The receiver did not take it.

    Attributes:
        final: another attempt would fail as well.
        retry_after: seconds that the receiver asked to wait.
    """

    def __init__(self, message: str, *, final: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.final = final
        self.retry_after = retry_after


async def send(target: Target, secret: str, notification: Notification, http: httpx.AsyncClient) -> None:
    """Send one notification.

    Raises:
        NotSent: with what the receiver, or the network, said.
    """
    if target.kind == "email":
        await asyncio.to_thread(_send_mail, target, secret, notification)
        return
    url, body, headers = request_for(target, secret, notification, now=int(time.time()))
    try:
        answer = await http.post(url, content=body, headers=headers, timeout=TIMEOUT)
    except httpx.HTTPError as error:
        raise NotSent(f"{type(error).__name__}: {error or 'no answer in time'}") from error
    if answer.is_success:
        return
    again = answer.status_code in _TRY_AGAIN or answer.is_server_error
    raise NotSent(
        f"it answered {answer.status_code}: {answer.text[:200]}", final=not again, retry_after=_retry_after(answer)
    )


def request_for(
    target: Target, secret: str, notification: Notification, *, now: int
) -> tuple[str, bytes, dict[str, str]]:
    """Address, body and headers of the request for a target. Pure.

    Raises:
        NotSent: the secret does not suit the kind of target.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "nimbus-notifier"}
    match target.kind:
        case "discord":
            if not secret.startswith(("https://", "http://")):
                raise NotSent("its secret is the whole address of the Discord webhook", final=True)
            return secret, _json(discord_body(notification)), headers
        case "ntfy":
            if secret:
                headers["Authorization"] = f"Bearer {secret}"
            return target.url, _json(ntfy_body(target, notification)), headers
    body = _json(
        {
            "id": notification.id,
            "title": notification.title,
            "message": notification.text,
            "event": dict(notification.event),
        }
    )
    if secret:
        headers |= signature(secret, notification.id, now, body)
    return target.url, body, headers


def discord_body(notification: Notification) -> dict[str, Any]:
    """What a Discord webhook takes; nobody is mentioned, whatever the text says."""
    embed = {
        "title": notification.title[:256],
        "description": notification.text[:4096],
        "timestamp": notification.event["time"],
        "color": _COLOR,
        "footer": {"text": str(notification.event["type"])[:2048]},
    }
    return {"username": "Nimbus", "embeds": [embed], "allowed_mentions": {"parse": []}}


def ntfy_body(target: Target, notification: Notification) -> dict[str, Any]:
    """What a ntfy server takes as JSON at its root."""
    return {
        "topic": target.topic,
        "title": notification.title[:250],
        "message": notification.text[:4000],
        "priority": target.priority,
    }


def signature(secret: str, message_id: str, now: int, body: bytes) -> dict[str, str]:
    """Headers of Standard Webhooks: HMAC-SHA256 over id, time and body.

    Raises:
        NotSent: the secret is neither `whsec_` with base64 nor plain text.
    """
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise NotSent("its secret is no base64 after whsec_", final=True) from error
    digest = hmac.digest(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def mail(target: Target, notification: Notification) -> EmailMessage:
    """The message to send. A line break in the title cannot become a header."""
    message = EmailMessage()
    message["Subject"] = " ".join(notification.title.split())[:200]
    message["From"] = target.mail_from
    message["To"] = ", ".join(target.mail_to)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(hashlib.sha256(notification.id.encode()).hexdigest()[:32], "nimbus.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notification.text or notification.title)
    return message


def _send_mail(target: Target, secret: str, notification: Notification) -> None:
    context = ssl.create_default_context()
    kind = smtplib.SMTP_SSL if target.smtp_security == "tls" else smtplib.SMTP
    options: dict[str, Any] = {"context": context} if target.smtp_security == "tls" else {}
    try:
        with kind(target.smtp_host, target.smtp_port, timeout=TIMEOUT, **options) as server:
            if target.smtp_security == "starttls":
                server.starttls(context=context)
            if target.smtp_user:
                server.login(target.smtp_user, secret)
            server.send_message(mail(target, notification))
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        permanent = 500 <= error.smtp_code < 600  # noqa: PLR2004 - RFC 5321, section 4.2.1
        raise NotSent(f"the mail server answered {error.smtp_code}: {said}", final=permanent) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NotSent(f"the mail server refused {', '.join(error.recipients)}", final=True) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotSent(f"the mail server cannot do that: {error}", final=True) from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds by the header, or by Discord's body."""
    value: Any = answer.headers.get("retry-after")
    if value is None:
        try:
            found = answer.json()
        except ValueError:
            return None
        value = found.get("retry_after") if isinstance(found, dict) else None
    try:
        return min(max(float(value), 0.0), _LONGEST_WAIT)
    except (TypeError, ValueError):
        return None
