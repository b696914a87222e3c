"""The public API: everything under `/api` that is not a plugin's, and the health calls."""

from fastapi import Depends, FastAPI

from nimbus_gateway import health, system
from nimbus_gateway.audit import api as audit_api
from nimbus_gateway.auth import admin_api as accounts_api
from nimbus_gateway.auth import api as auth_api
from nimbus_gateway.auth import invitations_api, sessions_api
from nimbus_gateway.backups import api as backups_api
from nimbus_gateway.compat import api as compat_api
from nimbus_gateway.core.downloads import api as downloads_api
from nimbus_gateway.core.events import admin_api as events_admin_api
from nimbus_gateway.core.media import people as media_api
from nimbus_gateway.core.schedules import api as schedules_api
from nimbus_gateway.core.webhooks import api as webhooks_api
from nimbus_gateway.docs import pages as docs_pages
from nimbus_gateway.events import stream as event_stream
from nimbus_gateway.http.application import build_application
from nimbus_gateway.http.parameters import refuse_unknown_parameters
from nimbus_gateway.plugins import admin_api as plugins_admin_api
from nimbus_gateway.plugins import api as plugins_api
from nimbus_gateway.plugins import inspection_api as plugins_inspection_api
from nimbus_gateway.plugins import install_api, orphans_api, versions_api
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups import api as system_backups_api
from nimbus_gateway.traffic import api as traffic_api


def build_public_api(state: GatewayState) -> FastAPI:
    """The application of the public listener, behind the guard and beside the proxy."""
    app = build_application(
        state,
        title="Nimbus",
        description="Sign in with a session cookie, or send an API key as `Authorization: Bearer nbk_…`.",
        openapi_url="/api/openapi.json",
    )
    strict = [Depends(refuse_unknown_parameters)]
    for part in (
        auth_api,
        sessions_api,
        invitations_api,
        system,
        plugins_api,
        plugins_admin_api,
        plugins_inspection_api,
        install_api,
        orphans_api,
        versions_api,
        backups_api,
        system_backups_api,
        compat_api,
        traffic_api,
        media_api,
        downloads_api,
        accounts_api,
        audit_api,
        events_admin_api,
        webhooks_api,
        event_stream,
    ):
        app.include_router(part.router, dependencies=strict)
    app.include_router(schedules_api.admin_router, dependencies=strict)
    for part in (health, docs_pages):  # watchers and browsers add parameters of their own
        app.include_router(part.router)
    return app
