"""Start and stop of everything that lives on the gateway's database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from nimbus_gateway.auth.authenticator import USAGE_SECONDS, CachingAuthenticator
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.first_run import FirstRun
from nimbus_gateway.auth.invitations import cut_invitations
from nimbus_gateway.auth.login_limit import cut_attempts
from nimbus_gateway.auth.passwords import Passwords
from nimbus_gateway.auth.sessions import cut_sessions
from nimbus_gateway.core.background import core_jobs, housekeeping
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.database import Database
from nimbus_gateway.jobs import every, kept_running
from nimbus_gateway.migrations.run import prepare
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.resuming import resume_restores

CUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the account and core services share, one of each per worker."""

    passwords: Passwords
    changes: CredentialChanges
    authenticator: CachingAuthenticator
    first_run: FirstRun
    box: SecretBox


@asynccontextmanager
async def open_accounts(state: GatewayState, passwords: Passwords | None = None) -> AsyncIterator[Accounts]:
    """Open the database, migrate it, make the first administrator and follow credential changes.

    Sets `state.database`, `state.authenticator` and `state.accounts`.

    Args:
        state: the worker's state.
        passwords: how passwords are hashed, when not by the default parameters.

    Raises:
        sqlalchemy.exc.OperationalError: the database did not answer in five minutes.
        SchemaTooNewError: a newer Nimbus has migrated it.
    """
    settings = state.settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await prepare(settings.database_url)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        passwords = passwords or Passwords()
        changes = CredentialChanges(database)
        authenticator = CachingAuthenticator(database, changes)
        accounts = Accounts(
            passwords=passwords,
            changes=changes,
            authenticator=authenticator,
            first_run=FirstRun(settings, database, changes, passwords),
            box=await asyncio.to_thread(SecretBox.from_file, settings.secret_key_path),
        )
        await changes.start()
        await accounts.first_run.prepare()
        state.database, state.authenticator, state.accounts = database, authenticator, accounts
        changes.subscribe(state.compat_ports.note)
        await state.compat_ports.load(database)
        await stack.enter_async_context(authenticator.running())
        await stack.enter_async_context(state.system_backup.running())
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(changes.follow(), name="follow credential changes"),
                group.create_task(every(USAGE_SECONDS, authenticator.write_usage), name="write credential usage"),
                group.create_task(every(CUT_SECONDS, lambda: _cut(database, changes)), name="cut old credentials"),
                group.create_task(every(CUT_SECONDS, lambda: housekeeping(state)), name="cut old data of the core"),
                group.create_task(
                    kept_running("keep traffic", lambda: state.traffic.run(database)), name="keep traffic"
                ),
                group.create_task(
                    kept_running(
                        "follow compatibility ports", lambda: state.compat_ports.follow(database, state.streams)
                    ),
                    name="follow compatibility ports",
                ),
                group.create_task(
                    kept_running("finish restores that were cut off", lambda: resume_restores(state)),
                    name="finish restores that were cut off",
                ),
                *(group.create_task(kept_running(name, job), name=name) for name, job in core_jobs(state).items()),
            ]
            try:
                yield accounts
            finally:
                for task in tasks:
                    task.cancel()


async def _cut(database: Database, changes: CredentialChanges) -> None:
    async with database.write() as session:
        await cut_sessions(session)
        await cut_attempts(session)
        await cut_invitations(session)
    await changes.cut()
