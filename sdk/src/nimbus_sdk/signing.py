"""Signing `X-Nimbus-Identity`: JWTs signed with Ed25519 (RFC 7519, RFC 8037), nothing else.

The gateway signs with a `SigningKey`; `nimbus_sdk.verifying` is the other side, offered here too.
"""

from collections.abc import Mapping
from typing import Any, Self

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from nimbus_sdk.contracts.identity import IDENTITY_ALGORITHM, IdentityClaims, JsonWebKey
from nimbus_sdk.verifying import TOKEN_TYPE, InvalidIdentity, UnknownKey, VerifyingKeys, verify_identity

__all__ = [
    "TOKEN_TYPE",
    "InvalidIdentity",
    "SigningKey",
    "UnknownKey",
    "VerifyingKeys",
    "sign_identity",
    "verify_identity",
]


class _IdentityRegistry(JWSRegistry):
    """Knows the one algorithm of the contract, under the name that RFC 8037 gave it.

    RFC 9864 prefers the name `Ed25519`; joserfc warns about the older one, which the contract fixes.
    """

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - joserfc does not export the type of its algorithms
        if name != IDENTITY_ALGORITHM:
            raise UnsupportedAlgorithmError(f"Algorithm of {name!r} is not allowed")
        return self.algorithms[IDENTITY_ALGORITHM]


_REGISTRY = _IdentityRegistry()


class SigningKey:
    """A private Ed25519 key with its key id."""

    __slots__ = ("_key", "kid", "public")

    def __init__(self, key: OKPKey) -> None:
        if not key.is_private or key.curve_name != "Ed25519":
            raise ValueError("a signing key is a private Ed25519 key")
        described = key.as_dict(private=False)
        self._key = key
        self.kid = str(described.get("kid") or key.thumbprint())
        self.public = JsonWebKey(x=str(described["x"]), kid=self.kid)
        """What goes into the published key set."""

    @classmethod
    def generate(cls) -> Self:
        """A new key. Its id is the RFC 7638 thumbprint."""
        return cls(OKPKey.generate_key("Ed25519", private=True))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> Self:
        """Read what `to_jwk` wrote.

        Raises:
            ValueError: it is not a private Ed25519 JWK.
        """
        try:
            key = OKPKey.import_key(
                {name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "d", "kid"}}
            )
        except (JoseError, KeyError, TypeError) as error:
            raise ValueError("not a private Ed25519 JWK") from error
        return cls(key)

    def to_jwk(self) -> dict[str, str]:
        """The private key as a JWK. Whoever reads it can speak for every user."""
        private = self._key.as_dict(private=True)
        return {**self.public.model_dump(), "d": str(private["d"])}

    def sign(self, claims: IdentityClaims) -> str:
        """The signed token of `claims`."""
        header = {"alg": IDENTITY_ALGORITHM, "kid": self.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims.wire(), self._key, registry=_REGISTRY, default_type=None)


def sign_identity(claims: IdentityClaims, key: SigningKey) -> str:
    """`X-Nimbus-Identity` for `claims`."""
    return key.sign(claims)
