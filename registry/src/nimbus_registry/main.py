"""The registry as an ASGI application: its parts, the order they start in, and the tasks that keep it right."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from nimbus_sdk.contracts.control import ScanResult
from nimbus_sdk.contracts.problem import Problem

from nimbus_registry import __version__
from nimbus_registry.api import data, health, inspection, installs, logs, plugins, snapshot
from nimbus_registry.api.context import Context, problem_response, require_service_token
from nimbus_registry.catalog.acquire import Acquirer
from nimbus_registry.catalog.catalog import Catalog
from nimbus_registry.catalog.follow import follow
from nimbus_registry.catalog.install import Installer
from nimbus_registry.catalog.jobs import Jobs
from nimbus_registry.catalog.permissions import Permissions
from nimbus_registry.database import Database
from nimbus_registry.errors import StartError, add_error_handlers
from nimbus_registry.gateway_client import Gateway, GatewayClient
from nimbus_registry.lifecycle.copies import DataCopies
from nimbus_registry.lifecycle.data_cap import DataCap
from nimbus_registry.lifecycle.examination import Examination
from nimbus_registry.lifecycle.garbage import Garbage
from nimbus_registry.lifecycle.observer import Observer
from nimbus_registry.lifecycle.reconcile import Reconciler
from nimbus_registry.lifecycle.requests import Requests
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.lifecycle.uninstall import Uninstaller
from nimbus_registry.lifecycle.usage import Usage
from nimbus_registry.lifecycle.versions import Versions
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.runtime.factory import open_runtime
from nimbus_registry.runtime.spec import OperatorPolicy
from nimbus_registry.service_token import service_token
from nimbus_registry.settings import RegistrySettings
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.schema import migrate
from nimbus_registry.workers import Workers

log = structlog.get_logger(__name__)

_LAST_WRITE = 2.0


def create_app(
    settings: RegistrySettings,
    *,
    make_runtime: Callable[[RegistrySettings], Runtime] = open_runtime,
    gateway: Gateway | None = None,
) -> FastAPI:
    """The application. Nothing is opened before its lifespan begins.

    Args:
        settings: the operator's settings.
        make_runtime: makes the runtime that plugins are run by.
        gateway: stands in for the gateway's management listener.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings, make_runtime, gateway) as context:
            app.state.context = context
            yield

    app = FastAPI(
        title="Nimbus registry",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        responses={
            422: problem_response("The request is not valid."),
            503: problem_response("The database does not answer."),
        },
    )
    add_error_handlers(app)
    app.include_router(health.router)
    guarded: dict[str, Any] = {
        "dependencies": [Depends(require_service_token)],
        "responses": {401: problem_response("The service token is missing or wrong.")},
    }
    for router in (plugins.router, installs.router, snapshot.router, logs.router, inspection.router, data.router):
        app.include_router(router, **guarded)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def running(
    settings: RegistrySettings, make_runtime: Callable[[RegistrySettings], Runtime], gateway: Gateway | None
) -> AsyncIterator[Context]:
    """The running registry: opened in order, reconciled once, then followed by its tasks until the end.

    Raises:
        StartError: something that it cannot do without is missing.
    """
    async with AsyncExitStack() as stack:
        token = await service_token(settings.token_file)
        database = Database(settings.database)
        stack.push_async_callback(database.close)
        await database.wait(settings.database_wait)
        await migrate(database)
        ledger = Ledger(
            database,
            instance=settings.instance,
            trusts=settings.trusts,
            plugins_enabled=settings.enable_plugins,
            safe_mode=settings.safe_mode,
            runtime=settings.runtime,
        )
        await ledger.load()
        catalog = Catalog(settings.plugins_dir, ledger, nimbus_version=__version__)
        await catalog.scan()
        try:
            runtime = make_runtime(settings)
            await runtime.open()
        except ValueError as error:
            raise StartError(str(error)) from error
        except RuntimeFailure as failure:
            raise StartError(" ".join(filter(None, [failure.message, failure.hint]))) from failure
        stack.push_async_callback(runtime.close)
        if gateway is None:
            client = GatewayClient(settings.gateway_management_url, token)
            stack.push_async_callback(client.close)
            gateway = client
        workers = Workers()
        tools = Tools(
            ledger=ledger,
            runtime=runtime,
            gateway=gateway,
            workers=workers,
            observer=Observer(runtime),
            policy=OperatorPolicy(
                settings.max_memory_bytes, settings.max_cpus, settings.max_pids, settings.max_data_bytes
            ),
            core_url=settings.core_url,
            upgrade_timeout=settings.upgrade_timeout,
        )
        reconciler = Reconciler(tools, source_dir=catalog.source_dir)

        async def rescan() -> ScanResult:
            result = await catalog.scan()
            reconciler.refresh()
            return result

        usage = Usage(tools, reconciler.spec_of)
        garbage = Garbage(ledger, runtime)
        permissions = Permissions(ledger, isolated=settings.runtime != "process")
        jobs = Jobs(ledger)
        requests = Requests(ledger, workers, reconciler, permissions, stopping=asyncio.Event())
        acquirer = Acquirer(runtime, ledger, settings.plugins_dir, rescan, __version__)
        context = Context(
            token=token,
            database=database,
            ledger=ledger,
            workers=workers,
            requests=requests,
            reconciler=reconciler,
            permissions=permissions,
            jobs=jobs,
            installer=Installer(ledger, acquirer, jobs, permissions, reconciler),
            versions=Versions(ledger, acquirer, jobs, permissions, requests),
            uninstaller=Uninstaller(ledger, runtime, requests),
            copies=DataCopies(ledger, runtime, requests, tools.observer, tools.policy.max_data),
            runtime=runtime,
            examination=Examination(tools, reconciler.spec_of),
            usage=usage,
            garbage=garbage,
            rescan=rescan,
        )
        await reconciler.prime()
        stack.push_async_callback(_write_the_rest, ledger)
        if settings.stop_plugins_on_exit:
            # Before the last write: a database that is down must not use up the time that plugins have to end.
            stack.push_async_callback(reconciler.stop_all)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ledger.keep_writing(), name="journal"),
                group.create_task(reconciler.run(), name="reconciler"),
                group.create_task(usage.run(), name="usage"),
                group.create_task(garbage.run(), name="garbage"),
                group.create_task(DataCap(tools, reconciler.notice).run(), name="data sizes"),
                group.create_task(jobs.run(), name="installations"),
                group.create_task(follow(settings.plugins_dir, rescan), name="plugin folders"),
            ]
            try:
                yield context
            finally:
                context.stopping.set()
                ledger.pulse.fire()
                for task in tasks:
                    task.cancel()


async def _write_the_rest(ledger: Ledger) -> None:
    """Store what is still pending. It can be observed again, so a database that is down holds up no end."""
    try:
        async with asyncio.timeout(_LAST_WRITE):
            await ledger.flush()
    except Exception as error:  # noqa: BLE001 - the end of the process comes first
        log.warning("the last changes were not stored; they are observed again at the next start", error=str(error))


def _openapi(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas[Problem.__name__] = problem
    return document
