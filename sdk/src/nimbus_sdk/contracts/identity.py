"""Who calls: the claims of the signed identity token and the names of the headers around it."""

from typing import Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel, empty_list

HEADER_IDENTITY = "X-Nimbus-Identity"
HEADER_PLUGIN = "X-Nimbus-Plugin"
HEADER_USER_ID = "X-Nimbus-User-Id"
HEADER_USER_NAME = "X-Nimbus-User-Name"
HEADER_ROLE = "X-Nimbus-Role"
HEADER_SCOPES = "X-Nimbus-Scopes"
HEADER_CALLER_PLUGIN = "X-Nimbus-Caller-Plugin"
HEADER_ON_BEHALF_OF = "X-Nimbus-On-Behalf-Of"
HEADER_REQUEST_ID = "X-Request-Id"
HEADER_CALL_CHAIN = "X-Nimbus-Call-Chain"
"""Plugins that a call went through, in order, with commas between. A plugin that calls on while it answers sends it
along with its own calls, as it came: a call that comes back to a plugin of the chain is refused as a loop."""

PLATFORM_SUBJECT = "platform"
"""`sub` of the calls that the platform itself makes (health, lifecycle, events, UI files)."""

IDENTITY_ALGORITHM = "EdDSA"
IDENTITY_LIFETIME_SECONDS = 60


class IdentityClaims(WireModel):
    """Claims of `X-Nimbus-Identity`: a JWT signed with EdDSA (RFC 8037), valid at most 60 s."""

    iss: str = Field(description="The instance.")
    aud: str = Field(description="The plugin that the token is for.")
    sub: str = Field(description="User id, `key:<api key id>`, `plugin:<id>` or `platform`.")
    name: str | None = Field(default=None, description="User name or API key name, for display.")
    role: Literal["admin", "user", "platform", "plugin"]
    scopes: list[str] = Field(default_factory=empty_list)
    sid: str | None = Field(default=None, description="The session it stands for; checked live when used on behalf.")
    iat: int
    exp: int


class JsonWebKey(WireModel):
    """A public Ed25519 key (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    kid: str
    alg: Literal["EdDSA"] = "EdDSA"
    use: Literal["sig"] = "sig"


class KeySet(WireModel):
    """Answer of `GET /core/v1/keys`: the keys that identity tokens may be signed with."""

    keys: list[JsonWebKey]
    issuer: str | None = Field(default=None, description="The instance: `iss` of the tokens these keys sign.")
