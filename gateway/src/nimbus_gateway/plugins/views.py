"""Plugins as the public API shows them, read from the snapshot in memory. Pure."""

from typing import Literal

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.manifest import Isolation, NavItem, Page, Slot
from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginDetail, PluginSummary, SnapshotPlugin
from pydantic import Field


class PluginList(WireModel):
    """A page of plugins, by id."""

    items: list[PluginSummary]
    next: str | None = None


class PluginDetailList(WireModel):
    """A page of plugins with everything about them, by id."""

    items: list[PluginDetail]
    next: str | None = None


class PluginChange(WireModel):
    """Answer of enable, disable and restart."""

    plugin: PluginDetail
    settled: bool = Field(description="The asked state is reached on every worker.")


SandboxReason = Literal["not-trusted", "manifest"]


class UiManifest(WireModel):
    """What the dashboard needs to host a plugin's pages."""

    plugin_id: str
    name: str
    version: str
    isolation: Isolation = Field(
        description="`module`: its code runs in the dashboard, as whoever is signed in; `iframe`: only in a sandbox."
    )
    sandbox_reasons: list[SandboxReason] = Field(
        description="Why the isolation is `iframe`: the operator does not trust the plugin "
        "(`NIMBUS_TRUSTED_PLUGINS`), or its own manifest says so."
    )
    bundle_url: str
    nav_items: list[NavItem]
    pages: list[Page]
    slots: list[Slot]


class UiManifestList(WireModel):
    """The user interfaces of all plugins that serve."""

    items: list[UiManifest]


def summary(detail: PluginDetail) -> PluginSummary:
    """A plugin as lists show it."""
    return PluginSummary.model_construct(**{name: getattr(detail, name) for name in PluginSummary.model_fields})


def sandbox_reasons(trusted: bool, asked: Isolation) -> list[SandboxReason]:  # noqa: FBT001 - a table's two columns
    """Why a plugin's pages may not run as code of the dashboard; empty when they may. A manifest cannot widen it."""
    reasons: list[SandboxReason] = []
    if not trusted:
        reasons.append("not-trusted")
    if asked == "iframe":
        reasons.append("manifest")
    return reasons


SHOWN_STATES = SERVING_STATES | {"idle"}
"""A plugin that sleeps has its pages all the same: the first call of a page starts it."""


def ui_manifest(plugin: SnapshotPlugin, *, admin: bool) -> UiManifest | None:
    """A plugin's user interface; None when it has none or does not serve.

    Args:
        plugin: its entry in the snapshot.
        admin: whether the caller gets to see navigation for administrators.
    """
    manifest = plugin.detail.manifest
    if manifest is None or manifest.ui is None or plugin.ui is None or plugin.detail.state not in SHOWN_STATES:
        return None
    ui = manifest.ui
    reasons = sandbox_reasons(plugin.detail.trusted, ui.isolation)
    return UiManifest(
        plugin_id=plugin.detail.id,
        name=plugin.detail.name,
        version=manifest.version,
        isolation="iframe" if reasons else "module",
        sandbox_reasons=reasons,
        bundle_url=f"/plugin-assets/{plugin.detail.id}/{plugin.ui.content_hash}/{ui.bundle}",
        nav_items=[item for item in ui.nav_items if admin or item.role != "admin"],
        pages=ui.pages,
        slots=ui.slots,
    )
