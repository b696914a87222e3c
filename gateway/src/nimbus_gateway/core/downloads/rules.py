"""What may be done with a download in which state, and who does it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nimbus_sdk.contracts.downloads import DOWNLOADER, FINISHED_STATES, DownloadState, ReportedState, Wanted
from nimbus_sdk.contracts.snapshot import SERVING_STATES, SnapshotPlugin

Action = Literal["pause", "resume", "cancel", "retry"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a download stands, and what people want of it."""

    state: DownloadState
    wanted: Wanted


def after_action(now: Standing, action: Action) -> Standing | str:
    """Where it stands after a person's action, or why that is not possible.

    What the provider works on stays as it is until the provider reports; what it does not, changes at once.
    """
    ended = now.state in FINISHED_STATES
    match action:
        case "retry":
            if now.state in {"failed", "canceled"}:
                return Standing("queued", "run")
            return "Only a download that failed or was canceled can be tried again."
        case _ if ended:
            return f"The download has ended ({now.state})."
        case "pause":
            return Standing("paused" if now.state == "queued" else now.state, "pause")
        case "resume":
            return Standing("queued" if now.state == "paused" else now.state, "run")
        case "cancel":
            return Standing(now.state if now.state == "running" else "canceled", "cancel")


def after_report(now: Standing, reported: ReportedState) -> Standing | str:
    """Where it stands after its provider's report, or why that cannot be."""
    if now.state in FINISHED_STATES:
        return now if now.state == reported else f"The download has ended ({now.state})."
    return Standing(reported, now.wanted)


@dataclass(frozen=True, slots=True)
class Provider:
    """A plugin that downloads: addresses of its schemes, or any."""

    id: str
    name: str
    schemes: tuple[str, ...]
    takes_any: bool
    ready: bool


def providers(plugins: Iterable[SnapshotPlugin]) -> list[Provider]:
    """The enabled plugins that download, by id."""
    found = []
    for plugin in plugins:
        manifest = plugin.detail.manifest
        capabilities = manifest.capabilities if manifest else []
        schemes = tuple(
            sorted(one.removeprefix(f"{DOWNLOADER}:") for one in capabilities if one.startswith(f"{DOWNLOADER}:"))
        )
        takes_any = DOWNLOADER in capabilities
        if plugin.detail.enabled and (schemes or takes_any):
            ready = plugin.detail.state in SERVING_STATES
            found.append(Provider(plugin.detail.id, plugin.detail.name, schemes, takes_any, ready))
    return sorted(found, key=lambda one: one.id)


def choose_provider(candidates: Iterable[Provider], url: str) -> Provider | None:
    """Who takes an address: rather one that names its scheme, rather one that is ready, else the first by id."""
    scheme = url.partition(":")[0].lower()
    fitting = [one for one in candidates if one.takes_any or scheme in one.schemes]
    return min(fitting, key=lambda one: (scheme not in one.schemes, not one.ready, one.id), default=None)


def default_title(url: str) -> str:
    """The last part of an address that says something."""
    path = url.partition("?")[0].partition("#")[0].rstrip("/")
    return (path.rpartition("/")[2] or url)[:500]
