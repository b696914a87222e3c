"""Sends one event to one address."""

import asyncio
import functools
import ssl
import time

import httpx
from nimbus_sdk.contracts.events import CLOUD_EVENT_MEDIA_TYPE, HEADER_DELIVERY_ATTEMPT, CloudEvent

from nimbus_gateway.core.events.dispatcher import Outcome
from nimbus_gateway.core.events.outcomes import outcome_of
from nimbus_gateway.core.webhooks.addresses import RefusedAddressError, resolved
from nimbus_gateway.core.webhooks.signing import signed_headers
from nimbus_gateway.system import VERSION

SEND_SECONDS = 20.0
MAX_ANSWER = 16 * 1024


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # takes long: once is enough


async def send(url: str, secret: str, event: CloudEvent, *, attempt: int, private: bool) -> Outcome:
    """One attempt; never raises. Redirects are not followed: they could lead where webhooks may not go."""
    target = httpx.URL(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    body = event.model_dump_json(by_alias=True, exclude_none=True).encode()
    headers = {
        "host": target.netloc.decode("ascii"),
        "content-type": CLOUD_EVENT_MEDIA_TYPE,
        "user-agent": f"Nimbus/{VERSION}",
        HEADER_DELIVERY_ATTEMPT: str(attempt),
        **signed_headers(secret, event.id, int(time.time()), body),
    }
    try:
        async with asyncio.timeout(SEND_SECONDS):
            address = await resolved(target.host, port, private=private)
            return await _post(target, address, body, headers)
    except TimeoutError:
        return Outcome("failed", f"No whole answer within {SEND_SECONDS:g} seconds.")
    except RefusedAddressError as error:
        return Outcome("failed", str(error))
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        return Outcome("failed", f"{type(error).__name__}: {error}".rstrip(": "))


async def _post(target: httpx.URL, address: str, body: bytes, headers: dict[str, str]) -> Outcome:
    async with (
        httpx.AsyncClient(timeout=SEND_SECONDS, verify=_tls(), trust_env=False) as client,
        client.stream(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": target.host},
        ) as answer,
    ):
        read = b""
        async for chunk in answer.aiter_raw():
            read += chunk
            if len(read) > MAX_ANSWER:
                break
        return outcome_of(answer.status_code, read, "It")
