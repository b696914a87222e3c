"""What every wire model has in common: camelCase on the wire, snake_case in Python, unknown keys ignored."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

PLUGIN_ID_PATTERN = r"^[a-z][a-z0-9-]{1,39}$"
"""Plugin ids are DNS labels: they name containers, networks and URL segments."""

PluginId = Annotated[str, StringConstraints(pattern=PLUGIN_ID_PATTERN)]


def empty_list() -> list[Any]:
    """Default of list fields that every plugin's start reads.

    Pydantic asks a factory for its signature, and for the built-in `list` Python parses that out of a text: a
    fiftieth of a start.
    """
    return []


class WireModel(BaseModel):
    """Base of every wire model.

    Fields are written in snake_case in Python and camelCase in JSON; both are accepted on input. Unknown
    fields are ignored, because a newer peer may send additions.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def wire(self) -> dict[str, object]:
        """The JSON object that goes on the wire, without fields that are unset and ``None``."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
