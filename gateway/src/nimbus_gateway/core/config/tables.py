"""Table of plugin settings."""

from datetime import datetime
from typing import Any

from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, Table, UtcDateTime, now


class PluginSetting(Table, table=True):
    """One setting of one plugin.

    `content` is `{"value": <any JSON>}`, or `{"sealed": <ciphertext>}` for a secret, so that the JSON value null
    and no value differ. `stamp` is new with every change: it is the ETag.
    """

    __tablename__ = "plugin_settings"

    plugin_id: str = Field(primary_key=True, max_length=40)
    key: str = Field(primary_key=True, max_length=128)
    content: dict[str, Any] = Field(sa_type=JSON_COLUMN)
    stamp: str = Field(max_length=32)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_by: str = Field(max_length=80)


class PluginSettingsVersion(Table, table=True):
    """The settings of a version of a plugin that it was switched away from.

    `content` is `{key: {"content": …, "updatedAt": …, "updatedBy": …}}`: each setting as its own row held it, so
    that a secret stays sealed. The version with `current` is the one whose settings are the plugin's own rows; its
    content is empty.
    """

    __tablename__ = "plugin_settings_versions"

    plugin_id: str = Field(primary_key=True, max_length=40)
    version: str = Field(primary_key=True, max_length=128)
    current: bool
    content: dict[str, Any] = Field(sa_type=JSON_COLUMN)
    saved_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
