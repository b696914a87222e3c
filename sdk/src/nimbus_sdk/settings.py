"""Settings of a plugin as one class: the schema for the manifest and the object that a handler gets."""

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from nimbus_sdk.errors import NotReady

if TYPE_CHECKING:
    from nimbus_sdk.client.config import Config

Secret = Annotated[str, Field(repr=False, json_schema_extra={"x-secret": True})]
"""A setting that is encrypted at rest, masked in the dashboard and left out of `repr`."""


class _Schema(GenerateJsonSchema):
    """JSON Schema without the titles that pydantic makes of field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's own signature
        return False


def _inlined(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON is anything
    """The schema with models in their places instead of references: a secret within one must be seen by Nimbus.

    Raises:
        TypeError: a model holds itself.
    """
    models = schema.pop("$defs", {})

    def place(part: Any, above: tuple[str, ...]) -> Any:  # noqa: ANN401
        if isinstance(part, list):
            return [place(member, above) for member in part]
        if not isinstance(part, dict):
            return part
        name = str(part.get("$ref", "")).removeprefix("#/$defs/")
        if not name:
            return {key: place(member, above) for key, member in part.items()}
        if name in above:
            raise TypeError(f"settings cannot hold {name}, which holds itself")
        beside = {key: member for key, member in part.items() if key != "$ref"}
        return place({**models[name], **beside}, (*above, name))

    return place(schema, ())


class Settings(BaseModel):
    """Base of a plugin's settings.

    Write a field for each setting, with a default where the plugin can do without::

        class MySettings(Settings):
            greeting: str = Field("Hello", description="What to say.", max_length=80)
            token: Secret = ""

        @plugin.get("/hello", auth="none")
        async def hello(settings: MySettings) -> str:
            return settings.greeting

    `nimbus plugin validate` compares the class with the manifest's `settings`; `MySettings.json_schema()` is
    what belongs there.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The manifest's `settings` for this class (JSON Schema 2020-12)."""
        schema: dict[str, Any] = _inlined(cls.model_json_schema(schema_generator=_Schema))
        schema.pop("title", None)
        schema.pop("description", None)
        return schema

    @classmethod
    async def load(cls, config: "Config") -> Self:
        """Read every setting from the core.

        Raises:
            NotReady: a setting without a default is not set, or a value does not fit.
        """
        return cls.of(await config.all())

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Make the object from values.

        Raises:
            NotReady: they do not fit; the message names each setting.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in item['loc'])}: {item['msg'].lower()}"
                for item in error.errors(include_input=False, include_url=False)
            )
            raise NotReady(f"the plugin's settings need attention: {wrong}") from None
