"""The history of requests as the dashboard draws it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.inspection import Span
from pydantic import Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.traffic.counts import Counts, gathered, slots
from nimbus_gateway.traffic.tables import TrafficRow

STEPS: Final[dict[Span, tuple[int, int]]] = {"1h": (3600, 60), "6h": (6 * 3600, 300), "24h": (24 * 3600, 900)}
"""How far back, and how far apart the points are, in seconds."""

MOST_PLUGINS: Final = 10


class TrafficErrors(WireModel):
    """Requests that were answered with 400 or more, or whose caller left, by who they go back to."""

    client: int = Field(description="The caller's doing.")
    plugin: int = Field(description="The plugin's own answer or failure.")
    gateway: int = Field(description="Nimbus' own trouble.")


class TrafficFigures(WireModel):
    """What was asked and answered in some time. Latencies are seconds, null when nothing was asked."""

    requests: int
    errors: TrafficErrors
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    received: int = Field(description="Bytes of requests' bodies.")
    sent: int = Field(description="Bytes of answers' bodies.")


class TrafficPoint(TrafficFigures):
    """The figures of one slot."""

    at: datetime = Field(description="Where the slot begins.")


class PluginTraffic(WireModel):
    """Requests to one plugin over time."""

    plugin_id: str
    span: Span
    step: int = Field(description="Seconds from one point to the next.")
    points: list[TrafficPoint] = Field(description="Oldest first; the last one is still being counted.")
    total: TrafficFigures


class PluginShare(WireModel):
    """How much of all one plugin had."""

    plugin_id: str
    requests: int
    errors: TrafficErrors


class Traffic(WireModel):
    """Requests to all plugins over time."""

    span: Span
    step: int = Field(description="Seconds from one point to the next.")
    points: list[TrafficPoint] = Field(description="Oldest first; the last one is still being counted.")
    total: TrafficFigures
    plugins: list[PluginShare] = Field(description="Those that were asked most, most first.")


def _errors(counts: Counts) -> TrafficErrors:
    return TrafficErrors(**counts.errors)


def _figures(counts: Counts) -> dict[str, object]:
    return {
        "requests": counts.requests,
        "errors": _errors(counts),
        "p50": counts.latency(0.5),
        "p95": counts.latency(0.95),
        "p99": counts.latency(0.99),
        "received": counts.received,
        "sent": counts.sent,
    }


def _counts(row: TrafficRow) -> Counts:
    return Counts(
        requests=row.requests,
        errors={"client": row.client_errors, "plugin": row.plugin_errors, "gateway": row.gateway_errors},
        buckets=row.buckets,
        received=row.received,
        sent=row.sent,
    )


def drawn(rows: Iterable[tuple[int, Counts]], span: Span, moment: float) -> tuple[list[TrafficPoint], TrafficFigures]:
    """Points of a span that ends at `moment`, and their sum. Pure."""
    length, step = STEPS[span]
    found = slots(int(moment) - length + step, int(moment), step)
    by_slot = gathered(rows, found)
    total = Counts()
    for counts in by_slot.values():
        total.add(counts)
    points = [
        TrafficPoint.model_validate({"at": datetime.fromtimestamp(slot, UTC), **_figures(counts)})
        for slot, counts in by_slot.items()
    ]
    return points, TrafficFigures.model_validate(_figures(total))


class TrafficHistory:
    """The history within one transaction."""

    def __init__(self, session: AsyncSession, moment: float) -> None:
        self._session = session
        self._moment = moment

    def _since(self, span: Span) -> datetime:
        return datetime.fromtimestamp(self._moment - STEPS[span][0], UTC)

    async def of_plugin(self, plugin_id: str, span: Span) -> PluginTraffic:
        """One plugin's."""
        query = select(TrafficRow).where(
            col(TrafficRow.plugin_id) == plugin_id, col(TrafficRow.at) >= self._since(span)
        )
        rows = (await self._session.exec(query)).all()
        points, total = drawn(_placed(rows), span, self._moment)
        return PluginTraffic(plugin_id=plugin_id, span=span, step=STEPS[span][1], points=points, total=total)

    async def of_all(self, span: Span) -> Traffic:
        """All plugins' together, without latencies: the database adds up, which it cannot for durations."""
        sums = [
            sa.func.sum(col(column))
            for column in (
                TrafficRow.requests,
                TrafficRow.client_errors,
                TrafficRow.plugin_errors,
                TrafficRow.gateway_errors,
                TrafficRow.received,
                TrafficRow.sent,
            )
        ]
        recent = col(TrafficRow.at) >= self._since(span)
        # SQLModel's `exec` is typed for selects of its own only, which take four columns at most.
        times = sa.select(col(TrafficRow.at), *sums).where(recent).group_by(col(TrafficRow.at))
        by_time = (await self._session.exec(times)).all()  # type: ignore[call-overload]  # see above
        by_plugin = (
            await self._session.exec(
                sa.select(col(TrafficRow.plugin_id), *sums)  # type: ignore[call-overload]  # see above
                .where(recent)
                .group_by(col(TrafficRow.plugin_id))
                .order_by(sums[0].desc(), col(TrafficRow.plugin_id))
                .limit(MOST_PLUGINS)
            )
        ).all()
        points, total = drawn(
            ((int(at.timestamp()), _summed(figures)) for at, *figures in by_time), span, self._moment
        )
        return Traffic(
            span=span,
            step=STEPS[span][1],
            points=points,
            total=total,
            plugins=[
                PluginShare(plugin_id=plugin, requests=found.requests, errors=_errors(found))
                for plugin, found in ((plugin, _summed(figures)) for plugin, *figures in by_plugin)
            ],
        )


def _summed(figures: Sequence[int]) -> Counts:
    requests, client, plugin, gateway, received, sent = (int(figure) for figure in figures)
    return Counts(
        requests=requests,
        errors={"client": client, "plugin": plugin, "gateway": gateway},
        received=received,
        sent=sent,
    )


def _placed(rows: Iterable[TrafficRow]) -> Iterable[tuple[int, Counts]]:
    return ((int(row.at.timestamp()), _counts(row)) for row in rows)
