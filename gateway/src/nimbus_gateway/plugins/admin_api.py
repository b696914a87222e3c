"""What administrators do with plugins beyond the public calls."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import LifecycleRequest, ScanResult, TransitionPage
from nimbus_sdk.contracts.core_api import ConfigKey, LogLevel
from nimbus_sdk.contracts.plugin_api import LifecycleEvent
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from pydantic import Field

from nimbus_gateway.core.config.api import settings_of
from nimbus_gateway.core.config.schema import defaults, document_problems, secret_keys
from nimbus_gateway.core.config.service import judged
from nimbus_gateway.core.config.turns import aside
from nimbus_gateway.errors import ConflictError, GatewayError, PluginsDisabledError
from nimbus_gateway.events.sse import EventStream
from nimbus_gateway.http.dependencies import (
    AdminDep,
    AuditDep,
    CredentialsDep,
    LimitDep,
    StateDep,
)
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import (
    CHANGE_ANSWERS,
    CursorText,
    WaitDep,
    change_plugin,
    page_of_plugins,
    plugin_or_404,
    with_ports,
)
from nimbus_gateway.plugins.log_lines import LogFilter
from nimbus_gateway.plugins.logs import LogFollower
from nimbus_gateway.plugins.platform_calls import deliver_lifecycle
from nimbus_gateway.plugins.views import PluginChange, PluginDetailList
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import not_while_restoring

LARGEST_ID = 2**63 - 1
NOTIFY_SECONDS = 5.0

router = APIRouter(
    prefix="/api/admin/plugins",
    route_class=StrictRoute,
    tags=["plugin administration"],
    responses=responses(401, 403),
)


class PluginConfig(WireModel):
    """A plugin's settings as a form needs them. Secrets are never shown."""

    settings_schema: dict[str, Any] | None = Field(
        alias="schema", description="The manifest's JSON Schema of the settings; null when it declares none."
    )
    values: dict[str, Any] = Field(description="Settings that are set, without secrets.")
    secrets: dict[str, bool] = Field(description="The schema's secrets, and whether each is set.")
    problems: list[FieldProblem] = Field(
        default_factory=list,
        description="Where what is set does not fit the schema, as after an upgrade that changed it. "
        "It is kept as it is and given to the plugin; a change has to mend all of it.",
    )
    notified: bool | None = Field(
        default=None, description="After a change: whether the running plugin took note; null when it does not run."
    )


class PluginConfigUpdate(WireModel):
    """All settings of a plugin. A secret that is left out stays, one that is null is deleted."""

    values: dict[ConfigKey, Any]


@router.get("")
async def admin_plugins_list(
    _: AdminDep, state: StateDep, cursor: CursorText = None, limit: LimitDep = 100
) -> PluginDetailList:
    """All plugins with everything about them, by id."""
    details, more = page_of_plugins(state, cursor, limit)
    return PluginDetailList(items=[with_ports(state, detail) for detail in details], next=more)


@router.post("/scan", responses=responses(404, 503))
async def admin_plugins_scan(admin: AdminDep, state: StateDep, audit: AuditDep) -> ScanResult:
    """Look for plugins in the plugins folder now."""
    if not state.settings.enable_plugins:
        raise PluginsDisabledError("Plugins are switched off by NIMBUS_ENABLE_PLUGINS=false.")
    async with state.database.write() as session:
        audit.write(session, "plugin.scan", admin)
    return await state.registry.scan()


@router.post("/{plugin_id}/restart", responses=CHANGE_ANSWERS)
async def admin_plugins_restart(
    *, plugin_id: PlainText, response: Response, admin: AdminDep, state: StateDep, audit: AuditDep, wait: WaitDep = 0
) -> PluginChange:
    """Restart an enabled plugin. With `wait`: 200 when every worker serves it again, 409 when it failed."""
    await not_while_restoring(state)
    return await change_plugin(
        state=state,
        response=response,
        audit=audit,
        principal=admin,
        plugin_id=plugin_id,
        verb="restart",
        ask=lambda cause: state.registry.restart(plugin_id, cause, wait),
    )


@router.get("/{plugin_id}/transitions", responses=responses(404, 503))
async def admin_plugins_transitions(
    plugin_id: PlainText,
    _: AdminDep,
    state: StateDep,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="`next` of the page before.")] = None,
    limit: LimitDep = 100,
) -> TransitionPage:
    """The plugin's history, oldest first."""
    return await state.registry.transitions(plugin_id, after, limit)


@router.get(
    "/{plugin_id}/logs",
    response_class=EventStream,
    responses={
        200: {"description": "Server-sent events: `log`, then `end`", "content": {"text/event-stream": {}}},
        **responses(404, 503),
    },
)
async def admin_plugins_logs(
    *,
    plugin_id: PlainText,
    admin: AdminDep,
    credentials: CredentialsDep,
    state: StateDep,
    follow: bool = False,
    tail: Annotated[int, Query(ge=1, le=1000, description="How many lines to begin with.")] = 200,
    level: Annotated[LogLevel | None, Query(description="Lines of this level and more urgent ones.")] = None,
    q: Annotated[PlainText, Query(description="Lines that hold this text, in any case.")] = "",
    after: Annotated[
        PlainText | None, Query(max_length=200, description="The cursor of a line: what follows it, if it is kept.")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> EventStream:
    """What the plugin prints and sends, newest lines first fetched, then live with `follow`.

    The id of each event is its cursor: a client that comes back with `Last-Event-ID`, or with `after` where it cannot
    set a header, gets what follows. `Last-Event-ID` is the later of the two when both are there.
    """
    plugin_or_404(state, plugin_id)
    follower = LogFollower(state, plugin_id, tail=tail, seen=last_event_id or after, wanted=LogFilter(level, q))
    first = await follower.beginning()
    return EventStream(follower.stream(first, admin, credentials, follow=follow), state.stopping)


@router.get("/{plugin_id}/config", responses=responses(404, 429))
async def admin_plugins_config(plugin_id: PlainText, _: AdminDep, state: StateDep) -> PluginConfig:
    """The plugin's settings."""
    plugin = plugin_or_404(state, plugin_id)
    return await _config(plugin, await _stored(state, plugin))


@router.put("/{plugin_id}/config", responses=responses(404, 409, 429))
async def admin_plugins_set_config(
    plugin_id: PlainText, body: PluginConfigUpdate, admin: AdminDep, state: StateDep, audit: AuditDep
) -> PluginConfig:
    """Replace the plugin's settings, checked against its schema, and tell the plugin when it runs."""
    plugin = plugin_or_404(state, plugin_id)
    # Judged with nothing locked: on SQLite a transaction that writes keeps all others waiting.
    wanted = await judged(plugin_id, _schema(plugin), await _stored(state, plugin), body.values)
    async with state.database.write() as session:
        await settings_of(session, state, plugin).replace(wanted, by=f"user:{admin.id}")
        audit.write(session, "plugin.config", admin, f"plugin:{plugin_id}", keys=sorted(body.values))
    config = _shown(plugin, wanted.values, [])
    config.notified = await _tell(state, plugin)
    with suppress(GatewayError):  # the registry asks by itself a little later
        await state.registry.tell_configured(plugin_id, f"user:{admin.id}")
    return config


async def _tell(state: GatewayState, plugin: SnapshotPlugin) -> bool | None:
    """Deliver `config_changed`; None when the plugin does not run and so reads the settings at its start."""
    if plugin.upstream is None:
        return None
    event = LifecycleEvent(event="config_changed", version=plugin.detail.version)
    request = LifecycleRequest(
        plugin_id=plugin.detail.id, upstream=plugin.upstream, event=event, timeout=NOTIFY_SECONDS
    )
    return (await deliver_lifecycle(state, request)).ok


async def _stored(state: GatewayState, plugin: SnapshotPlugin) -> dict[str, Any]:
    async with state.database.read() as session:
        return await settings_of(session, state, plugin).stored()


def _schema(plugin: SnapshotPlugin) -> dict[str, Any] | None:
    return plugin.detail.manifest.settings if plugin.detail.manifest else None


async def _config(plugin: SnapshotPlugin, stored: dict[str, Any]) -> PluginConfig:
    return _shown(plugin, stored, await aside(plugin.detail.id, _problems, _schema(plugin), stored))


def _shown(plugin: SnapshotPlugin, stored: Mapping[str, Any], problems: list[FieldProblem]) -> PluginConfig:
    schema = _schema(plugin)
    hidden = secret_keys(schema)
    return PluginConfig(
        schema=schema,
        values={key: value for key, value in stored.items() if key not in hidden},
        secrets={key: key in stored for key in sorted(hidden)},
        problems=problems,
    )


def _problems(schema: dict[str, Any] | None, stored: dict[str, Any]) -> list[FieldProblem]:
    try:
        return document_problems(schema, defaults(schema) | stored)
    except ConflictError as error:
        return [FieldProblem(path="/schema", message=error.detail or "a JSON Schema that can be used")]
