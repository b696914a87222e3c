"""How plugins fare: the doctor, what they use, and what nobody uses any more."""

from fastapi import APIRouter
from nimbus_sdk.contracts.inspection import Diagnosis, OrphanList, PluginMetrics, PluginMetricsPage, Span

from nimbus_registry.api.context import Current, PathId, problem_response
from nimbus_registry.errors import RuntimeUnavailableError
from nimbus_registry.runtime.base import RuntimeFailure

router = APIRouter(prefix="/v1", tags=["inspection"])


@router.get("/plugins/{plugin_id}/doctor", responses={404: problem_response("There is no such plugin.")})
async def doctor(plugin_id: PathId, context: Current) -> Diagnosis:
    """Walk the hops from image to permissions, and name the first that fails. Takes up to half a minute."""
    return await context.examination.diagnose(plugin_id)


@router.get("/plugins/{plugin_id}/metrics", responses={404: problem_response("There is no such plugin.")})
async def metrics(plugin_id: PathId, context: Current, span: Span = "1h") -> PluginMetrics:
    """What a plugin uses now, and what it used: samples of the last hour, or means of five minutes of up to a day."""
    return context.usage.metrics(context.ledger.get(plugin_id), span=span)


@router.get("/metrics")
async def all_metrics(context: Current) -> PluginMetricsPage:
    """What every plugin uses now."""
    return context.usage.page()


@router.get("/orphans")
async def orphans(context: Current) -> OrphanList:
    """Images and copies of data that nothing needs any more; they go with the next hourly look."""
    return context.garbage.listed()


@router.post("/orphans/collect", responses={503: problem_response("The engine does not answer.")})
async def collect(context: Current) -> OrphanList:
    """Remove now what is listed, and list what is new."""
    try:
        return await context.garbage.collect()
    except (RuntimeFailure, TimeoutError) as error:
        raise RuntimeUnavailableError(str(error) or None) from error
