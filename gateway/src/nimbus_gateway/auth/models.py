"""Bodies of the account calls."""

from datetime import datetime
from typing import Annotated, Literal

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.manifest import Scope
from pydantic import AwareDatetime, Field, StringConstraints

from nimbus_gateway.auth import tables
from nimbus_gateway.auth.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH
from nimbus_gateway.auth.users import NAME_LENGTH, NAME_PATTERN

Username = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH, pattern=NAME_PATTERN)]
NewPassword = Annotated[str, StringConstraints(min_length=MINIMUM_LENGTH, max_length=MAXIMUM_LENGTH)]
TypedText = Annotated[str, StringConstraints(max_length=1024)]
RoleName = Literal["admin", "user"]


class LoginRequest(WireModel):
    """Body of the sign-in."""

    username: TypedText
    password: TypedText


class User(WireModel):
    """A person, as they are shown themselves."""

    id: str
    username: str
    role: RoleName
    created_at: datetime

    @classmethod
    def of(cls, user: tables.User) -> "User":
        """The view of a row."""
        return cls.model_validate(_user_fields(user))


class AdminUser(User):
    """A person, as administrators see them."""

    disabled: bool
    updated_at: datetime

    @classmethod
    def of(cls, user: tables.User) -> "AdminUser":
        """The view of a row."""
        return cls.model_validate({**_user_fields(user), "disabled": user.disabled, "updated_at": user.updated_at})


def _user_fields(user: tables.User) -> dict[str, object]:
    return {"id": str(user.id), "username": user.username, "role": user.role, "created_at": user.created_at}


class UserPage(WireModel):
    """A page of people."""

    items: list[AdminUser]
    next: str | None = None


class UserCreate(WireModel):
    """Body of the call that adds a person."""

    username: Username
    password: NewPassword
    role: RoleName = "user"


class UserUpdate(WireModel):
    """Body of the call that changes a person: what is left out stays."""

    role: RoleName | None = None
    disabled: bool | None = None
    password: NewPassword | None = Field(default=None, description="Sets a new password and ends all sessions.")


class PasswordChange(WireModel):
    """Body of the change of one's own password."""

    current_password: TypedText
    new_password: NewPassword


class SetupStatus(WireModel):
    """Whether Nimbus waits for its first administrator."""

    needed: bool


class SetupRequest(WireModel):
    """Body of the set-up."""

    code: Annotated[str, StringConstraints(max_length=64)] = Field(description="The one-time code of the log.")
    username: Username
    password: NewPassword


class ApiKey(WireModel):
    """An API key without the key itself."""

    id: str
    name: str
    prefix: str = Field(description="How the key begins.")
    scopes: list[str]
    owner_id: str = Field(description="The administrator who made it; it works while their account does.")
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    @classmethod
    def of(cls, key: tables.ApiKey) -> "ApiKey":
        """The view of a row."""
        return cls.model_validate(
            {
                "id": str(key.id),
                "name": key.name,
                "prefix": key.prefix,
                "scopes": key.scopes,
                "owner_id": str(key.owner_id),
                "created_at": key.created_at,
                "expires_at": key.expires_at,
                "last_used_at": key.last_used_at,
            }
        )


class NewApiKey(ApiKey):
    """An API key that was just made: the only answer that shows it."""

    key: str = Field(description="Keep it now: it cannot be shown again.")


class ApiKeyPage(WireModel):
    """A page of API keys, newest first."""

    items: list[ApiKey]
    next: str | None = None


class ApiKeyCreate(WireModel):
    """Body of the call that makes an API key."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
    scopes: list[Scope] = Field(
        default_factory=list,
        max_length=100,
        description="Of Nimbus: `plugins:read`, `plugins:write`, `media:read`, `media:write`, "
        "`downloads:read`, `downloads:write`, `metrics:read`; and those that plugins' routes ask for.",
    )
    expires_at: AwareDatetime | None = None
