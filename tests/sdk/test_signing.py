import base64
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from nimbus_sdk.contracts.identity import IdentityClaims, KeySet
from nimbus_sdk.signing import (
    _REGISTRY,
    InvalidIdentity,
    SigningKey,
    UnknownKey,
    VerifyingKeys,
    sign_identity,
    verify_identity,
)

KEY = SigningKey.generate()
KEYS = VerifyingKeys(KeySet(keys=[KEY.public], issuer="nimbus"))
NOW = 1_800_000_000


def claims(**changes: object) -> IdentityClaims:
    values: dict[str, object] = {
        "iss": "nimbus",
        "aud": "hello",
        "sub": "user-1",
        "name": "ada",
        "role": "user",
        "scopes": ["media:read"],
        "iat": NOW,
        "exp": NOW + 60,
    }
    return IdentityClaims.model_validate({**values, **changes})


def forge(header: dict[str, object], payload: dict[str, object], signature: bytes = b"x" * 64) -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_round_trip_keeps_every_claim() -> None:
    token = sign_identity(claims(sid="s1"), KEY)
    assert KEYS.verify(token, audience="hello", now=NOW + 1) == claims(sid="s1")
    assert verify_identity(token, KeySet(keys=[KEY.public]), audience="hello", issuer="nimbus", now=NOW) == claims(
        sid="s1"
    )


def test_the_clock_is_now_by_default() -> None:
    now = int(time.time())
    assert KEYS.verify(KEY.sign(claims(iat=now, exp=now + 60)), audience="hello").sub == "user-1"
    with pytest.raises(InvalidIdentity, match="expired"):
        KEYS.verify(KEY.sign(claims(iat=now - 120, exp=now - 60)), audience="hello")


def test_a_key_survives_being_written_down() -> None:
    again = SigningKey.from_jwk(json.loads(json.dumps(KEY.to_jwk())))
    assert again.kid == KEY.kid
    assert again.public == KEY.public
    assert "d" not in KEY.public.model_dump()
    assert KEYS.verify(again.sign(claims()), audience="hello", now=NOW).sub == "user-1"


@pytest.mark.parametrize(
    "jwk", [{}, {"kty": "oct", "k": "AAAA"}, KEY.public.model_dump(), {"kty": "OKP", "crv": "Ed448"}]
)
def test_only_private_ed25519_keys_sign(jwk: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Ed25519"):
        SigningKey.from_jwk(jwk)


@pytest.mark.parametrize(
    ("changes", "audience", "now", "message"),
    [
        ({"aud": "other"}, "hello", NOW, "another plugin"),
        ({}, "hell", NOW, "another plugin"),
        ({"iss": "elsewhere"}, "hello", NOW, "another instance"),
        ({"exp": NOW + 61}, "hello", NOW, "longer than"),
        ({"exp": NOW}, "hello", NOW, "longer than"),
        ({"exp": NOW - 5}, "hello", NOW, "longer than"),
        ({}, "hello", NOW + 65, "expired"),
        ({"iat": NOW + 30, "exp": NOW + 60}, "hello", NOW, "future"),
    ],
)
def test_broken_rules_are_named(changes: dict[str, object], audience: str, now: int, message: str) -> None:
    with pytest.raises(InvalidIdentity, match=message):
        KEYS.verify(KEY.sign(claims(**changes)), audience=audience, now=now)


def test_clocks_may_differ_a_little() -> None:
    assert KEYS.verify(KEY.sign(claims()), audience="hello", now=NOW + 64).sub == "user-1"
    assert KEYS.verify(KEY.sign(claims(iat=NOW + 4, exp=NOW + 60)), audience="hello", now=NOW).sub == "user-1"


def test_an_unknown_key_says_so() -> None:
    other = SigningKey.generate()
    with pytest.raises(UnknownKey) as caught:
        KEYS.verify(other.sign(claims()), audience="hello", now=NOW)
    assert caught.value.kid == other.kid


def test_a_known_key_id_with_another_key_fails() -> None:
    other = SigningKey.from_jwk({**SigningKey.generate().to_jwk(), "kid": KEY.kid})
    with pytest.raises(InvalidIdentity, match="signature"):
        KEYS.verify(other.sign(claims()), audience="hello", now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "nimbus-identity+jwt", "kid": KEY.kid},
        {"alg": "HS256", "typ": "nimbus-identity+jwt", "kid": KEY.kid},
        {"alg": "EdDSA", "typ": "JWT", "kid": KEY.kid},
        {"alg": "EdDSA", "typ": "nimbus-identity+jwt"},
        {"alg": "EdDSA", "typ": "nimbus-identity+jwt", "kid": 7},
        {"alg": "EdDSA", "typ": "nimbus-identity+jwt", "kid": KEY.kid, "jwk": KEY.public.model_dump()},
        {"alg": "EdDSA", "typ": "nimbus-identity+jwt", "kid": KEY.kid, "crit": ["b64"], "b64": False},
        ["EdDSA"],
    ],
)
def test_forged_headers_are_refused(header: dict[str, object]) -> None:
    for signature in (b"", b"x" * 64):
        with pytest.raises(InvalidIdentity):
            KEYS.verify(forge(header, claims().wire(), signature), audience="hello", now=NOW)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}", fullmatch=True))
def test_rubbish_is_refused_in_one_way(token: str) -> None:
    with pytest.raises(InvalidIdentity):
        KEYS.verify(token, audience="hello", now=NOW)


@given(st.integers(min_value=0), st.characters(codec="ascii", categories=["L", "N"]))
def test_no_byte_of_a_token_can_change(position: int, replacement: str) -> None:
    token = KEY.sign(claims())
    at = position % len(token)
    changed = token[:at] + replacement + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(InvalidIdentity):
        KEYS.verify(changed, audience="hello", now=NOW)


def test_claims_that_lack_something_or_lie_about_types_are_refused() -> None:
    for payload in (
        {"aud": "hello"},
        {**claims().wire(), "exp": str(NOW + 60)},
        {**claims().wire(), "aud": ["hello"]},
    ):
        header = {"alg": "EdDSA", "typ": "nimbus-identity+jwt", "kid": KEY.kid}
        token = jwt.encode(header, payload, KEY._key, registry=_REGISTRY, default_type=None)
        with pytest.raises(InvalidIdentity, match="claims"):
            KEYS.verify(token, audience="hello", now=NOW)


def test_what_a_signed_header_adds_is_not_obeyed() -> None:
    other = SigningKey.generate()
    payload = claims().wire()
    lying = {"alg": "EdDSA", "typ": "nimbus-identity+jwt", "kid": KEY.kid, "jwk": other.public.model_dump()}
    token = jwt.encode(lying, payload, other._key, registry=_REGISTRY, default_type=None)
    with pytest.raises(InvalidIdentity, match="signature"):
        KEYS.verify(token, audience="hello", now=NOW)
    head = base64.urlsafe_b64encode(json.dumps({**lying, "crit": ["b64"]}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    private = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(KEY.to_jwk()["d"] + "="))
    signature = base64.urlsafe_b64encode(private.sign(head + b"." + body)).rstrip(b"=")
    with pytest.raises(InvalidIdentity, match="another kind"):
        KEYS.verify(b".".join([head, body, signature]).decode(), audience="hello", now=NOW)


def test_a_key_set_with_another_kind_of_key_is_no_crash() -> None:
    bad = KeySet(keys=[KEY.public.model_copy(update={"x": "AAAA"})])
    with pytest.raises(InvalidIdentity, match="no Ed25519 key"):
        verify_identity(KEY.sign(claims()), bad, audience="hello", now=NOW)


def test_a_long_token_is_not_even_read() -> None:
    with pytest.raises(InvalidIdentity, match="too long"):
        KEYS.verify("a" * 10_000, audience="hello")
