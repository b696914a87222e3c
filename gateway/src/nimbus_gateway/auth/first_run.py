"""How the first administrator comes to be: by a setting, by a generated password, or by a one-time code."""

import asyncio
import contextlib
import hmac
import json
import secrets
from pathlib import Path

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.passwords import Passwords, generated_password
from nimbus_gateway.auth.tables import User
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import Database, lock
from nimbus_gateway.errors import ConflictError, ForbiddenError, GoneError
from nimbus_gateway.secret_files import read_or_create, write_new
from nimbus_gateway.settings import Settings

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_GROUPS = 4
CODE_GROUP = 4
FIRST_ADMIN_FILE = "first-admin"
SETUP_CODE_FILE = "setup-code"
FIRST_ADMIN_LOCK = "first-administrator"

log = structlog.get_logger(__name__)


class FirstRun:
    """Knows whether Nimbus still waits for its first administrator."""

    def __init__(
        self, settings: Settings, database: Database, changes: CredentialChanges, passwords: Passwords
    ) -> None:
        self._settings = settings
        self._database = database
        self._changes = changes
        self._passwords = passwords
        self._done = False

    @property
    def _code_file(self) -> Path:
        return self._settings.data_dir / SETUP_CODE_FILE

    async def needed(self) -> bool:
        """Whether there is no account yet. Once there is one, this awaits nothing.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if not self._done:
            async with self._database.read() as session:
                self._done = await Users(session, self._changes).any()
        return not self._done

    async def prepare(self) -> None:
        """At start: make the administrator that the settings ask for, or open the set-up page.

        Several workers may do this at once.
        """
        if not await self.needed():
            self._code_file.unlink(missing_ok=True)
            return
        if self._settings.admin_password is not None:
            await self._create(self._settings.admin_username, self._settings.admin_password.get_secret_value())
            log.info("first administrator made from the settings", username=self._settings.admin_username)
        elif self._settings.generate_admin:
            await self._generate()
        else:
            code = await asyncio.to_thread(read_or_create, self._code_file, _new_code() + "\n")
            log.warning("Nimbus is not set up yet: open it in a browser and enter this one-time code", code=code)

    async def _create(self, username: str, password: str) -> None:
        password_hash = await self._passwords.hash(password)
        with contextlib.suppress(ConflictError):  # another worker was faster
            async with self._database.write() as session:
                await lock(session, FIRST_ADMIN_LOCK)
                users = Users(session, self._changes)
                if not await users.any():
                    await users.create(username, password_hash, "admin")
        self._done = True

    async def _generate(self) -> None:
        password = generated_password()
        file = self._settings.data_dir / FIRST_ADMIN_FILE
        # A file of a start that died before it made the account names a password that nobody has.
        file.unlink(missing_ok=True)
        account = {"username": self._settings.admin_username, "password": password}
        await asyncio.to_thread(write_new, file, json.dumps(account) + "\n")
        try:
            await self._create(self._settings.admin_username, password)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        log.info("first administrator made with a generated password", username=self._settings.admin_username)

    async def finish(self, session: AsyncSession, *, code: str, username: str, password_hash: str) -> User:
        """Set up with the one-time code: make the administrator in the caller's transaction.

        Raises:
            GoneError: Nimbus is set up already.
            ForbiddenError: the code is another one.
        """
        await lock(session, FIRST_ADMIN_LOCK)
        users = Users(session, self._changes)
        self.check_open(needed=not await users.any())
        await self.check_code(code)
        return await users.create(username, password_hash, "admin")

    def check_open(self, *, needed: bool) -> None:
        """Raises: GoneError: Nimbus is set up already."""
        if not needed:
            raise GoneError("Nimbus is set up. Sign in instead.")

    async def check_code(self, code: str) -> None:
        """Raises: ForbiddenError: it is not the code of the log."""
        try:
            expected = await asyncio.to_thread(self._code_file.read_text, "utf-8")
        except FileNotFoundError:
            expected = ""
        given = code.strip().upper().encode("utf-8", "replace")
        if not expected.strip() or not hmac.compare_digest(given, expected.strip().encode()):
            raise ForbiddenError("This is not the set-up code. It is in the gateway's log.")

    def finished(self) -> None:
        """The set-up is committed: the code is of no use any more."""
        self._done = True
        self._code_file.unlink(missing_ok=True)


def _new_code() -> str:
    groups = ("".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_GROUP)) for _ in range(CODE_GROUPS))
    return "-".join(groups)
