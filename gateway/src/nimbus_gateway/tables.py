"""Every table of the gateway in one place, for migrations."""

from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.auth.invitations import InvitationRow
from nimbus_gateway.auth.tables import ApiKey, CredentialChange, LoginAttempt, User, UserSession
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.config.tables import PluginSetting, PluginSettingsVersion
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, FeedCursor, SubscriberRow, WebhookRow
from nimbus_gateway.core.kv.tables import KvRow, KvUsageRow
from nimbus_gateway.core.logs.tables import PluginLogLine
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.core.schedules.tables import ScheduleRow, ScheduleRunRow
from nimbus_gateway.database import Table
from nimbus_gateway.traffic.tables import TrafficRow

METADATA = Table.metadata

__all__ = [
    "METADATA",
    "ApiKey",
    "AuditEntry",
    "CompatPortRow",
    "CredentialChange",
    "DeliveryRow",
    "DownloadRow",
    "EventRow",
    "FeedCursor",
    "InvitationRow",
    "KvRow",
    "KvUsageRow",
    "LoginAttempt",
    "MediaChangeRow",
    "MediaItem",
    "PluginLogLine",
    "PluginSetting",
    "PluginSettingsVersion",
    "ScheduleRow",
    "ScheduleRunRow",
    "SubscriberRow",
    "TrafficRow",
    "User",
    "UserSession",
    "WebhookRow",
]
