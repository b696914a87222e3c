"""Which plugins need which, as the registry and the administrators' API show it."""

from typing import Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.states import PluginState

DependencyProblem = Literal["missing", "invalid", "version", "disabled", "not-ready"]
"""Why a dependency is not there: not installed, its manifest has errors, it has another version, it is off, or it
does not serve yet."""


class PluginDependency(WireModel):
    """Another plugin that one needs, and how that stands."""

    id: str
    version: str = Field(description="The range that is asked for; `*` is any.")
    optional: bool
    name: str | None = Field(default=None, description="Null while it is not installed.")
    installed_version: str | None = None
    enabled: bool = False
    state: PluginState | None = None
    problem: DependencyProblem | None = Field(default=None, description="Null: it is there and serves.")
    message: str | None = Field(default=None, description="The problem and what to do, as a sentence.")


class PluginDependent(WireModel):
    """Another plugin that needs one."""

    id: str
    name: str
    version: str = Field(description="The range in which it needs it.")
    optional: bool
    enabled: bool
    state: PluginState
