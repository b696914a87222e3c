"""Fetching keys: once, together, again for a new key, not too often, and without a core."""

import asyncio
import base64
import time
from dataclasses import replace

import pytest
from nimbus_sdk.contracts.identity import IdentityClaims, KeySet
from nimbus_sdk.identity import (
    MAX_AGE_SECONDS,
    REFRESH_FLOOR_SECONDS,
    RETRY_FLOOR_SECONDS,
    IdentityVerifier,
    InvalidToken,
    KeysUnavailable,
    core_keys,
)
from nimbus_sdk.signing import SigningKey

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Keys:
    """A core's key endpoint, with a clock that the test moves."""

    def __init__(self) -> None:
        self.keys = [SigningKey.generate()]
        self.fetches = 0
        self.error: Exception | None = None
        self.now = 1000.0

    async def fetch(self) -> KeySet:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return KeySet(keys=[key.public for key in self.keys], issuer="nimbus")

    def token(self, key: SigningKey | None = None, **changes: object) -> str:
        now = int(time.time())
        values = {"iss": "nimbus", "aud": "hello", "sub": "u", "role": "user", "iat": now, "exp": now + 60}
        return (key or self.keys[0]).sign(IdentityClaims.model_validate({**values, **changes}))

    def verifier(self) -> IdentityVerifier:
        return IdentityVerifier("hello", self.fetch, clock=lambda: self.now)


async def test_everybody_who_waits_shares_one_fetch() -> None:
    keys = Keys()
    verifier = keys.verifier()
    found = await asyncio.gather(*(verifier.verify(keys.token()) for _ in range(20)))
    assert {claims.sub for claims in found} == {"u"}
    assert keys.fetches == 1


async def test_a_new_key_is_fetched_but_not_for_every_rubbish() -> None:
    keys = Keys()
    verifier = keys.verifier()
    await verifier.verify(keys.token())
    fresh = SigningKey.generate()
    keys.keys.append(fresh)
    with pytest.raises(InvalidToken, match="not known"):
        await verifier.verify(keys.token(fresh))
    keys.now += REFRESH_FLOOR_SECONDS
    assert (await verifier.verify(keys.token(fresh))).sub == "u"
    assert keys.fetches == 2
    for _ in range(10):
        with pytest.raises(InvalidToken):
            await verifier.verify(keys.token(SigningKey.generate()))
    assert keys.fetches == 2


async def test_a_withdrawn_key_is_forgotten() -> None:
    keys = Keys()
    verifier = keys.verifier()
    old = keys.keys[0]
    await verifier.verify(keys.token(old))
    keys.keys = [SigningKey.generate()]
    keys.now += MAX_AGE_SECONDS + 1
    with pytest.raises(InvalidToken):
        await verifier.verify(keys.token(old, sub="v"))


async def test_without_keys_nothing_is_verified_and_the_core_is_not_hammered() -> None:
    keys = Keys()
    keys.error = ConnectionRefusedError()
    verifier = keys.verifier()
    await verifier.warm()
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(keys.token())
    assert keys.fetches == 1
    keys.error = None
    keys.now += RETRY_FLOOR_SECONDS
    assert (await verifier.verify(keys.token())).sub == "u"


async def test_old_keys_outlive_a_core_that_is_away() -> None:
    keys = Keys()
    verifier = keys.verifier()
    await verifier.verify(keys.token())
    keys.error = TimeoutError()
    keys.now += MAX_AGE_SECONDS + 1
    assert (await verifier.verify(keys.token(sub="w"))).sub == "w"


async def test_a_remembered_token_still_expires() -> None:
    keys = Keys()
    verifier = keys.verifier()
    now = int(time.time())
    token = keys.token(iat=now - 59, exp=now + 1)
    assert (await verifier.verify(token)).sub == "u"
    kept = verifier._verified[token.encode()]
    assert verifier.known(token.encode()) == kept.caller
    verifier._verified[token.encode()] = replace(kept, expires=now - 10)
    assert verifier.known(token.encode()) is None
    keys.keys = [SigningKey.generate()]
    keys.now += MAX_AGE_SECONDS + 1
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_clock_that_is_set_back_makes_no_remembered_token_live_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = Keys()
    verifier = keys.verifier()
    token = keys.token()
    await verifier.verify(token)
    assert verifier.known(token.encode()) is not None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    keys.now += 61
    assert verifier.known(token.encode()) is None
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_token_nested_without_end_is_malformed() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode()
    with pytest.raises(InvalidToken, match="malformed"):
        await Keys().verifier().verify(f"{deep}.e30.AA")


class TestOverTheWire:
    async def test_keys_come_from_the_core(self) -> None:
        key = SigningKey.generate()
        body = KeySet(keys=[key.public]).model_dump_json().encode()
        seen: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            found = await core_keys(f"http://127.0.0.1:{port}")()
        assert found.keys == [key.public]
        assert seen == [b"GET /core/v1/keys HTTP/1.1"]

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n",
            b"rubbish\r\n\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        ],
    )
    async def test_whatever_else_comes_means_no_keys(self, answer: bytes) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            verifier = IdentityVerifier("hello", core_keys(f"http://127.0.0.1:{port}"))
            with pytest.raises(KeysUnavailable):
                await verifier.verify(Keys().token())

    async def test_no_core_no_keys(self) -> None:
        with pytest.raises(KeysUnavailable):
            await IdentityVerifier("hello", core_keys(None)).verify(Keys().token())
