"""A new password from the host, for when nobody can sign in to set one: ``nimbus-gateway reset-password``."""

from dataclasses import dataclass
from pathlib import Path

from nimbus_gateway.audit.service import write_audit
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.login_limit import forget_attempts
from nimbus_gateway.auth.passwords import Passwords, generated_password
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import Database, is_sqlite, sqlite_path
from nimbus_gateway.errors import NotFoundError

AUDIT_ACTION = "user.reset-password"
AUDIT_ACTOR = "host"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Reset:
    """What was done."""

    username: str
    password: str
    disabled: bool


class NoDatabaseError(Exception):
    """There is no database where the settings say; the message names the place."""


async def reset_password(url: str, username: str, passwords: Passwords | None = None) -> Reset:
    """Give an account a generated password, end its sessions and let it try to sign in again at once.

    Gateways that run on the database follow its log of credential changes, so they notice within a second.

    Args:
        url: the gateway's database. It is used as it is: making or migrating it is a start's work.
        username: whose password.
        passwords: how passwords are hashed, when not by the default parameters.

    Raises:
        NoDatabaseError: there is no such file.
        NotFoundError: there is no such account; the message has the names of administrators.
        DatabaseUnavailableError: the database does not answer.
    """
    if is_sqlite(url) and not sqlite_path(url).is_file():
        raise NoDatabaseError(f"There is no database at {Path(sqlite_path(url))}. Is NIMBUS_DATA_DIR right?")
    password = generated_password()
    password_hash = await (passwords or Passwords()).hash(password)
    database = Database(url)
    try:
        async with database.write() as session:
            users = Users(session, CredentialChanges(database))
            user = await users.find(username)
            if user is None:
                known = [found.username for found in await users.page(None, _NAMED) if found.role == "admin"]
                raise NotFoundError(
                    f"There is no account {username!r}. Administrators: {', '.join(known) or 'none'}."
                )
            await users.set_password(user, password_hash)
            await forget_attempts(session, user.username_key)
            write_audit(session, AUDIT_ACTION, actor=AUDIT_ACTOR, target=f"user:{user.id}")
            return Reset(user.username, password, user.disabled)
    finally:
        await database.close()
