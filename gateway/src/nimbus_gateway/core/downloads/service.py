"""Downloads: one service for people, askers and providers."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
from nimbus_sdk.contracts.downloads import (
    DOWNLOAD_CONTROL,
    DOWNLOAD_REQUESTED,
    FINISHED_STATES,
    Download,
    DownloadCreate,
    DownloadReport,
    DownloadUpdate,
)
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.downloads.rules import (
    Action,
    Standing,
    after_action,
    after_report,
    choose_provider,
    default_title,
    providers,
)
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.etags import require_match, version_etag
from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.events.subscribers import plugin_subscriber
from nimbus_gateway.core.merge import merge_metadata
from nimbus_gateway.database import lock, now, parse_id
from nimbus_gateway.errors import ConflictError, ForbiddenError, NotFoundError, QuotaExceededError, ValidationError

MOST_QUEUED = 5000
HISTORY_DAYS = 90
_QUEUE_LOCK = "downloads-queue"


def view(row: DownloadRow) -> Download:
    """The wire form of a row."""
    left = row.total_bytes - row.done_bytes if row.total_bytes is not None else None
    moving = row.state == "running" and row.speed and left is not None
    return Download.model_validate(
        {
            **row.model_dump(exclude={"details", "rank", "version", "id"}),
            "id": str(row.id),
            "position": row.rank,
            "metadata": row.details,
            "eta_seconds": max(left or 0, 0) / row.speed if moving and row.speed else None,
            "etag": version_etag(row.version),
        }
    )


class Downloads:
    """Downloads within one transaction.

    Args:
        session: the transaction.
        plugins: the plugins of the snapshot, by id.
    """

    def __init__(self, session: AsyncSession, plugins: Mapping[str, SnapshotPlugin]) -> None:
        self._session = session
        self._plugins = plugins

    async def queue(self, *, after: int | None, limit: int, provider: str | None) -> Sequence[DownloadRow]:
        """What has not ended, in the order of the queue, after the given place."""
        query = select(DownloadRow).where(col(DownloadRow.rank).is_not(None)).order_by(col(DownloadRow.rank))
        if after is not None:
            query = query.where(col(DownloadRow.rank) > after)
        if provider is not None:
            query = query.where(col(DownloadRow.provider) == provider)
        return (await self._session.exec(query.limit(limit))).all()

    async def page(
        self, *, before: uuid.UUID | None, limit: int, states: Sequence[str], provider: str | None
    ) -> Sequence[DownloadRow]:
        """Downloads in any of the states, or in any at all, newest first."""
        query = select(DownloadRow).order_by(col(DownloadRow.id).desc())
        if before is not None:
            query = query.where(col(DownloadRow.id) < before)
        if states:
            query = query.where(col(DownloadRow.state).in_(states))
        if provider is not None:
            query = query.where(col(DownloadRow.provider) == provider)
        return (await self._session.exec(query.limit(limit))).all()

    async def get(self, download_id: str) -> DownloadRow:
        """One download.

        Raises:
            NotFoundError: there is none with that id.
        """
        key = parse_id(download_id)
        found = await self._session.get(DownloadRow, key) if key else None
        if found is None:
            raise NotFoundError("There is no such download.")
        return found

    async def create(self, body: DownloadCreate, *, by: str) -> DownloadRow:
        """Queue a download with its provider.

        Raises:
            ValidationError: the provider that the body names does not download.
            ConflictError: no plugin takes such an address.
            QuotaExceededError: too many wait already.
        """
        provider = self._provider(body)
        await lock(self._session, _QUEUE_LOCK)
        count, last = (
            await self._session.exec(select(sa.func.count(col(DownloadRow.rank)), sa.func.max(col(DownloadRow.rank))))
        ).one()
        if count >= MOST_QUEUED:
            raise QuotaExceededError(
                f"{MOST_QUEUED} downloads wait already. Cancel some, or wait until they are done.",
                extra={"quota": "downloads"},
            )
        row = DownloadRow(
            url=body.url,
            title=body.title or default_title(body.url),
            provider=provider,
            rank=0 if last is None else last + 1,
            details=body.metadata,
            requested_by=by,
        )
        self._session.add(row)
        await self._session.flush()
        await self._tell(row, "created", DOWNLOAD_REQUESTED)
        return row

    def _provider(self, body: DownloadCreate) -> str:
        candidates = providers(self._plugins.values())
        if body.provider is not None:
            if all(one.id != body.provider for one in candidates):
                message = "an enabled plugin with the capability downloader"
                problem = FieldProblem(path="/provider", message=message, value=body.provider)
                raise ValidationError("That plugin does not download.", errors=[problem])
            return body.provider
        chosen = choose_provider(candidates, body.url)
        if chosen is None:
            scheme = body.url.partition(":")[0].lower()
            raise ConflictError(
                f"No enabled plugin downloads {scheme}: addresses. Enable one with the capability downloader."
            )
        return chosen.id

    async def update(self, download_id: str, body: DownloadUpdate, *, if_match: str | None) -> DownloadRow:
        """Change title, metadata or the place in the queue.

        Raises:
            NotFoundError: there is no such download.
            PreconditionFailedError: it was changed since `if_match`.
            ConflictError: one that has ended has no place in the queue.
        """
        if body.position is not None:
            await lock(self._session, _QUEUE_LOCK)
        row = await self._locked(download_id)
        require_match(if_match, version_etag(row.version))
        if body.title is not None:
            row.title = body.title
        if body.metadata is not None:
            row.details = merge_metadata(row.details, body.metadata)
        if body.position is not None:
            await self._move(row, body.position)
        await self._save(row)
        if body.position is not None:
            await self._tell(row, None, DOWNLOAD_CONTROL)
        return row

    async def _move(self, row: DownloadRow, position: int) -> None:
        if row.rank is None:
            raise ConflictError(f"The download has ended ({row.state}); it has no place in the queue.")
        queued = select(DownloadRow).where(col(DownloadRow.rank).is_not(None)).order_by(col(DownloadRow.rank))
        # Locked: one that its provider ends meanwhile must not be given a place again.
        queued = queued.with_for_update()
        rows = [one for one in (await self._session.exec(queued)).all() if one.id != row.id]
        rows.insert(position, row)
        for rank, one in enumerate(rows):
            if one.rank != rank:
                one.rank = rank
                self._session.add(one)

    async def act(self, download_id: str, action: Action) -> DownloadRow:
        """Pause, resume, cancel or try again.

        Raises:
            NotFoundError: there is no such download.
            ConflictError: it is in no state for that.
        """
        if action == "retry":
            await lock(self._session, _QUEUE_LOCK)
        row = await self._locked(download_id)
        before = _standing(row)
        after = after_action(before, action)
        if isinstance(after, str):
            raise ConflictError(after)
        if after == before:
            return row
        if action == "retry":
            await self._begin_again(row)
        told = await self._set(row, after)
        await self._tell(row, told, DOWNLOAD_REQUESTED if action == "retry" else DOWNLOAD_CONTROL)
        return row

    async def _begin_again(self, row: DownloadRow) -> None:
        last = (await self._session.exec(select(sa.func.max(col(DownloadRow.rank))))).one()
        row.rank = 0 if last is None else last + 1
        row.attempt += 1
        row.error = row.speed = row.started_at = row.finished_at = None
        row.done_bytes = 0

    async def report(self, download_id: str, body: DownloadReport, *, provider: str) -> DownloadRow:
        """Take down what the provider says.

        Raises:
            NotFoundError: there is no such download.
            ForbiddenError: another plugin works on it.
            ConflictError: it has ended otherwise.
        """
        row = await self._locked(download_id)
        if row.provider != provider:
            raise ForbiddenError(f"This download belongs to the plugin {row.provider}; only it reports on it.")
        after = after_report(_standing(row), body.state)
        if isinstance(after, str):
            raise ConflictError(after)
        if row.state in FINISHED_STATES:
            return row  # the same report once more
        for name in ("done_bytes", "total_bytes", "speed", "error", "result"):
            given = getattr(body, name)
            if given is not None:
                setattr(row, name, given)
        told = await self._set(row, after)
        if told is not None:
            await self._tell(row, told, None)
        return row

    async def delete(self, download_id: str) -> None:
        """Take one that has ended out of the history.

        Raises:
            NotFoundError: there is no such download.
            ConflictError: it has not ended.
        """
        row = await self._locked(download_id)
        if row.state not in FINISHED_STATES:
            raise ConflictError("The download has not ended. Cancel it first.")
        await self._session.delete(row)
        await self._session.flush()

    async def _locked(self, download_id: str) -> DownloadRow:
        key = parse_id(download_id)
        query = select(DownloadRow).where(col(DownloadRow.id) == key).with_for_update()
        found = (await self._session.exec(query)).one_or_none() if key else None
        if found is None:
            raise NotFoundError("There is no such download.")
        return found

    async def _set(self, row: DownloadRow, after: Standing) -> str | None:
        """Bring a row to a standing; the event that tells of the new state, when it is one."""
        changed = row.state != after.state
        row.state, row.wanted = after.state, after.wanted
        if row.state == "running" and row.started_at is None:
            row.started_at = now()
        if row.state != "running":
            row.speed = None
        if row.state in FINISHED_STATES:
            row.finished_at = row.finished_at or now()
            row.rank = None
        await self._save(row)
        return {"queued": "queued", "running": "started"}.get(row.state, row.state) if changed else None

    async def _save(self, row: DownloadRow) -> None:
        row.version += 1
        row.updated_at = now()
        self._session.add(row)
        await self._session.flush()

    async def _tell(self, row: DownloadRow, everybody: str | None, provider: str | None) -> None:
        data = view(row).wire()
        events = []
        if everybody is not None:
            events.append(NewEvent(f"io.nimbus.download.{everybody}.v1", str(row.id), data))
        if provider is not None:
            events.append(NewEvent(provider, str(row.id), data, to=(plugin_subscriber(row.provider),)))
        await emit_all(self._session, events)


def _standing(row: DownloadRow) -> Standing:
    found = view(row)
    return Standing(found.state, found.wanted)


async def cut_history(session: AsyncSession) -> None:
    """Delete what ended long ago."""
    edge = now() - timedelta(days=HISTORY_DAYS)
    await session.exec(sa.delete(DownloadRow).where(col(DownloadRow.finished_at) < edge))
