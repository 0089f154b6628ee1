"""For load balancers and monitoring; no key is needed and nothing is given away."""

from fastapi import APIRouter, Request

from flows.api.documentation import problems
from flows.api.shapes import Health
from flows.wiring import Application

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=problems(), operation_id="health")
async def health() -> Health:
    """Whether the process answers. It touches nothing else."""
    return Health(status="ok")


@router.get("/readyz", responses=problems("unavailable"), operation_id="readiness")
def readiness(request: Request) -> Health:
    """Whether orders can be accepted: the records answer. Prefect may be down; accepting does not need it."""
    application: Application = request.app.state.application
    application.records.ready()
    return Health(status="ok")
