"""What anybody may know about this Nimbus, and what its users should."""

from importlib.metadata import version
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends
from nimbus_sdk.contracts.base import WireModel
from pydantic import Field, SecretStr

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.http.dependencies import AdminDep, CredentialsDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState

VERSION = version("nimbus-gateway")

router = APIRouter(tags=["system"])


class Notice(WireModel):
    """Something that the people who use Nimbus should know."""

    level: Literal["info", "warning", "error"]
    message: str


class System(WireModel):
    """This Nimbus."""

    name: str = "Nimbus"
    version: str
    plugins_enabled: bool
    safe_mode: bool
    setup_needed: bool
    runtime: str | None = None
    registry_reachable: bool
    notices: list[Notice] = Field(default_factory=list)


async def system_view(state: GatewayState, principal: Principal | None) -> System:
    """The state of this Nimbus; notices only for those who are signed in."""
    snapshot = state.snapshots.current.snapshot
    try:
        setup_needed = await state.accounts.first_run.needed()
    except DatabaseUnavailableError:
        setup_needed = False
    view = System(
        version=VERSION,
        plugins_enabled=state.settings.enable_plugins and snapshot.plugins_enabled,
        safe_mode=snapshot.safe_mode,
        setup_needed=setup_needed,
        runtime=snapshot.runtime,
        registry_reachable=state.registry.reachable,
    )
    if principal is not None:
        view.notices = notices(view)
    return view


def notices(view: System) -> list[Notice]:
    """What should be said about a state. Pure."""
    found: list[Notice] = []
    if not view.registry_reachable:
        text = "The registry cannot be reached. Plugins that run go on; changes have to wait."
        found.append(Notice(level="error", message=text))
    if not view.plugins_enabled:
        text = "Plugins are switched off (NIMBUS_ENABLE_PLUGINS=false)."
        found.append(Notice(level="warning", message=text))
    if view.safe_mode:
        text = "Safe mode: no plugin is started. What is enabled stays enabled for the next normal start."
        found.append(Notice(level="warning", message=text))
    if view.runtime == "process":
        text = (
            "Plugins run as plain processes. They are isolated less than containers: "
            "a plugin could read the secrets of another. Enable only plugins that you trust."
        )
        found.append(Notice(level="info", message=text))
    return found


async def _maybe_caller(state: StateDep, credentials: CredentialsDep) -> Principal | None:
    try:
        return await state.authenticator.authenticate(credentials)
    except DatabaseUnavailableError:
        return None


@router.get("/api/system")
async def system_get(state: StateDep, principal: Annotated[Principal | None, Depends(_maybe_caller)]) -> System:
    """Version, switches and reachability. Signed-in callers also get notices."""
    return await system_view(state, principal)


class SettingView(WireModel):
    """One setting of the gateway as it stands."""

    name: str = Field(description="The environment variable.")
    value: str | None = Field(description="None when it is not set, and for secrets always.")
    secret: bool
    changed: bool = Field(description="Differs from what it is when nothing is set.")
    description: str


class Configuration(WireModel):
    """The gateway's settings as they stand."""

    settings: list[SettingView]


def configuration(settings: Settings) -> Configuration:
    """Every setting, without the value of any secret. Pure."""
    views: list[SettingView] = []
    for field, info in Settings.model_fields.items():
        value = getattr(settings, field)
        secret = SecretStr in (info.annotation, *get_args(info.annotation))
        views.append(
            SettingView(
                name=f"NIMBUS_{field.upper()}",
                value=None if secret or value is None else _shown(value),
                secret=secret,
                changed=value != info.get_default(call_default_factory=True),
                description=info.description or "",
            )
        )
    return Configuration(settings=sorted(views, key=lambda view: view.name))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


@router.get("/api/admin/system/configuration", responses=responses(401, 403))
async def system_configuration(_: AdminDep, state: StateDep) -> Configuration:
    """The gateway's settings as they stand; secrets only as set or not."""
    return configuration(state.settings)
