"""Verifying `X-Nimbus-Identity`: JWTs signed with Ed25519 (RFC 7515, RFC 7519, RFC 8037), nothing else.

Strict on purpose: one algorithm, one token type, a known key id, the expected audience and issuer, and a life of
at most `IDENTITY_LIFETIME_SECONDS`. The algorithm is never read from the token (RFC 8725, section 3.1), and keys
in its header are not looked at. Every plugin needs this before its first health answer, so it stands on the
signature of `cryptography` alone: a JOSE library makes a start a fifth longer.
"""

import base64
import binascii
import json
import re
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from nimbus_sdk.contracts.identity import (
    IDENTITY_ALGORITHM,
    IDENTITY_LIFETIME_SECONDS,
    IdentityClaims,
    KeySet,
)

TOKEN_TYPE = "nimbus-identity+jwt"  # noqa: S105 - the JOSE `typ` (RFC 8725, section 3.11), not a secret
MAX_TOKEN_LENGTH = 8192
LEEWAY_SECONDS = 5.0
"""How far the clocks of gateway and plugin may be apart."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class InvalidIdentity(Exception):  # noqa: N818 - named for what the caller is told
    """The identity token is not acceptable; the message says why and holds nothing of the token."""


class UnknownKey(InvalidIdentity):
    """The token names a key that is not in the key set: the set may be older than the key."""

    def __init__(self, kid: str) -> None:
        super().__init__("the identity token is signed with a key that is not known")
        self.kid = kid


class VerifyingKeys:
    """A published key set, ready to verify with. Immutable; make a new one when the set changes."""

    __slots__ = ("_jwks", "_keys", "issuer")

    def __init__(self, keys: KeySet) -> None:
        self._jwks = {key.kid: key for key in keys.keys}
        self._keys: dict[str, Ed25519PublicKey] = {}
        self.issuer = keys.issuer
        """The instance that the keys belong to, when the set says so."""

    def __contains__(self, kid: object) -> bool:
        return kid in self._jwks

    def _key(self, kid: str) -> Ed25519PublicKey:
        key = self._keys.get(kid)
        if key is None:
            jwk = self._jwks.get(kid)
            if jwk is None:
                raise UnknownKey(kid)
            try:
                key = self._keys[kid] = Ed25519PublicKey.from_public_bytes(_decoded(jwk.x))
            except ValueError as error:
                raise InvalidIdentity("the key that the identity token names is no Ed25519 key") from error
        return key

    def verify(
        self,
        token: str,
        *,
        audience: str,
        issuer: str | None = None,
        now: float | None = None,
        leeway: float = LEEWAY_SECONDS,
    ) -> IdentityClaims:
        """The claims of `token`, when every rule holds.

        Args:
            token: the compact JWT of the `X-Nimbus-Identity` header.
            audience: id of the plugin that verifies.
            issuer: the instance that must have issued it; the key set's own when left out.
            now: Unix time, for tests.
            leeway: seconds that the clocks may be apart.

        Raises:
            UnknownKey: the key id is not in the set; fetch the set again and retry once.
            InvalidIdentity: any other rule is broken.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidIdentity("the identity token is too long")
        signed, _, signature = token.rpartition(".")
        first, _, second = signed.partition(".")
        try:
            header, payload, raw_signature = _object(first), _decoded(second), _decoded(signature)
        except (ValueError, RecursionError) as error:
            raise InvalidIdentity("the identity token is malformed") from error
        if header.get("alg") != IDENTITY_ALGORITHM or header.get("typ") != TOKEN_TYPE or "crit" in header:
            raise InvalidIdentity("the identity token is of another kind")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise InvalidIdentity("the identity token names no key")
        key = self._key(kid)
        try:
            key.verify(raw_signature, signed.encode("ascii"))
        except InvalidSignature as error:
            raise InvalidIdentity("the identity token's signature does not hold") from error
        try:
            claims = IdentityClaims.model_validate_json(payload, strict=True)
        except ValidationError as error:
            raise InvalidIdentity("the identity token's claims are incomplete") from error
        _check(claims, audience, issuer or self.issuer, time.time() if now is None else now, leeway)
        return claims


def _object(part: str) -> dict[str, Any]:
    found = json.loads(_decoded(part))
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - what is wrong is the value of the text
    return found


def _decoded(part: str) -> bytes:
    """The bytes of base64url without padding (RFC 7515, section 2); each text has one meaning, each bytes one text.

    Raises:
        ValueError: the text is anything else.
    """
    if not _BASE64URL.fullmatch(part):
        raise ValueError("not base64url")
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _check(claims: IdentityClaims, audience: str, issuer: str | None, now: float, leeway: float) -> None:
    if claims.aud != audience:
        raise InvalidIdentity("the identity token is for another plugin")
    if issuer is not None and claims.iss != issuer:
        raise InvalidIdentity("the identity token is of another instance")
    if not 0 < claims.exp - claims.iat <= IDENTITY_LIFETIME_SECONDS:
        raise InvalidIdentity("the identity token's life is longer than the contract allows")
    if claims.exp + leeway <= now:
        raise InvalidIdentity("the identity token has expired")
    if claims.iat - leeway > now:
        raise InvalidIdentity("the identity token is from the future; check the clocks")


def verify_identity(
    token: str, keys: VerifyingKeys | KeySet, *, audience: str, issuer: str | None = None, now: float | None = None
) -> IdentityClaims:
    """Verify a token; see `VerifyingKeys.verify`. Pass `VerifyingKeys` where it is called often."""
    verifier = keys if isinstance(keys, VerifyingKeys) else VerifyingKeys(keys)
    return verifier.verify(token, audience=audience, issuer=issuer, now=now)
