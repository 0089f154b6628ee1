"""Models -> Prefect deployments: one flow and one deployment a model, both named after it.

Publishing is two things. The plan and the runbooks it runs are recorded, so that orders are taken and pinned to it;
that needs no Prefect. And the deployment is made in Prefect; the keeper makes it anew when it is gone or was altered.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from connectors.registry import Registry
from flows.records.records import Records, Transaction
from flows.records.rows import Publication
from flows.settings import PrefectSettings
from flows.summary import title_of
from request_models.json_values import JsonValue
from request_models.plan import Plan

POOL_TYPE = "orderly"
RETIRED = "retired"
"""Tag of deployments whose model is open to orders no more; they stay, so that requests in flight can be retried."""

PARAMETERS: dict[str, JsonValue] = {
    "type": "object",
    "title": "Parameters",
    "properties": {
        "request_id": {
            "type": "string",
            "title": "Request",
            "description": "The id of a request that Orderly accepted. Orders come over Orderly's API, not from here.",
            "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
            "position": 0,
        }
    },
    "required": ["request_id"],
    "additionalProperties": False,
}
"""The only parameter: Prefect hydrates and stores parameters in clear, so nothing a user typed may be one."""

NO_VARIABLES: dict[str, Any] = {
    "job_configuration": {"name": "orderly"},  # Prefect refuses an empty one
    "variables": {"type": "object", "properties": {}},
}
"""The work pool's template: there is nothing to configure from Prefect."""

_TIMEOUT_SECONDS = 10.0
_RETRIES = 1
_PLAN_DIGITS = 12


class RunbookContentMissing(Exception):
    """A plan runs a runbook whose content no connector can give; nothing was published."""

    def __init__(self, plan: Plan, digest: str) -> None:
        super().__init__(
            f"The model {plan.model!r} runs a runbook with the digest {digest[:12]}, but no connector has its content "
            "any more. It changed while the model was compiled: publish again."
        )
        self.digest = digest


@dataclass(frozen=True)
class Published:
    """A model that is open to orders. `deployed`: Prefect has its deployment already; if not, the keeper sees to it."""

    publication: Publication
    deployed: bool


@contextmanager
def prefect_client(settings: PrefectSettings, retries: int = 0) -> Iterator[SyncPrefectClient]:
    """A client that answers within seconds; who must go on without Prefect waits in its own way.

    `retries`, each after twice the wait of the one before, ride out the 503s that embedded Prefect gives now and then.
    """
    auth = settings.auth_string.get_secret_value() if settings.auth_string is not None else None
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}),
        SyncPrefectClient(
            settings.api_url, auth_string=auth, httpx_settings={"timeout": httpx.Timeout(_TIMEOUT_SECONDS)}
        ) as client,
    ):
        yield client


def record_publication(records: Records, registry: Registry, plan: Plan) -> Publication:
    """Record a plan, with the content of the runbooks it runs, as the current version of its model.

    Raises RunbookContentMissing.
    """
    content = {digest: _content(registry, plan, digest) for digest in plan.content_digests}

    def work(tx: Transaction) -> Publication:
        for digest, archive in content.items():
            if not tx.content.has(digest):
                tx.content.put(digest, archive)
        tx.plans.put(plan)
        return tx.publications.put(plan.model, plan.digest)

    return records.run(work)


def publish(records: Records, registry: Registry, settings: PrefectSettings, plans: Iterable[Plan]) -> list[Published]:
    """Open models to orders, and deploy them if Prefect answers. Raises RunbookContentMissing."""
    publications = [(plan, record_publication(records, registry, plan)) for plan in plans]
    with prefect_client(settings, _RETRIES) as client:
        try:
            ensure_work_pool(client, settings.work_pool)
            for plan, _ in publications:
                deploy(client, settings.work_pool, plan)
        except httpx.HTTPError:
            return [Published(publication, deployed=False) for _, publication in publications]
    return [Published(publication, deployed=True) for _, publication in publications]


def retire(records: Records, settings: PrefectSettings, model: str) -> None:
    """Close a model to orders. Its deployment is marked, never deleted: requests in flight are retried on it."""
    records.run(lambda tx: tx.publications.retire(model))
    with prefect_client(settings, _RETRIES) as client:
        try:
            mark_retired(client, model)
        except httpx.HTTPError:
            return  # the keeper marks it when Prefect answers again


def ensure_work_pool(client: SyncPrefectClient, name: str) -> None:
    """Have the work pool, of our type and with a template that takes nothing from anybody."""
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        create = WorkPoolCreate(
            name=name, type=POOL_TYPE, description="Orderly's flow runs.", base_job_template=NO_VARIABLES
        )
        try:
            client.create_work_pool(create)
        except ObjectAlreadyExists:
            return  # another process was faster
    else:
        if pool.base_job_template != NO_VARIABLES:
            client.update_work_pool(name, WorkPoolUpdate(base_job_template=NO_VARIABLES))


def deploy(client: SyncPrefectClient, work_pool: str, plan: Plan) -> UUID:
    """Make or update the deployment of a model; its id."""
    return client.create_deployment(
        flow_id=client.create_flow_from_name(plan.model),
        name=plan.model,
        version=plan.digest[:_PLAN_DIGITS],
        description=_description(plan),
        tags=_tags(plan),
        entrypoint=f"flows.entry.{plan.model}",
        work_pool_name=work_pool,
        parameter_openapi_schema=PARAMETERS,
        enforce_parameter_schema=True,
        schedules=[],
        pull_steps=[],
        job_variables={},
        paused=False,
    )


def find_deployment(client: SyncPrefectClient, model: str) -> DeploymentResponse | None:
    """The deployment of a model, None when there is none."""
    try:
        return client.read_deployment_by_name(f"{model}/{model}")
    except ObjectNotFound:
        return None


def is_as_published(deployment: DeploymentResponse, work_pool: str, plan: Plan) -> bool:
    """Whether a deployment still is what `deploy` made of the plan; anybody with access to Prefect can alter it."""
    return (
        deployment.version == plan.digest[:_PLAN_DIGITS]
        and deployment.description == _description(plan)
        and sorted(deployment.tags) == sorted(_tags(plan))
        and deployment.entrypoint == f"flows.entry.{plan.model}"
        and deployment.work_pool_name == work_pool
        and deployment.parameter_openapi_schema == PARAMETERS
        and deployment.enforce_parameter_schema
        and not (deployment.schedules or deployment.pull_steps or deployment.job_variables or deployment.paused)
    )


def mark_retired(client: SyncPrefectClient, model: str) -> None:
    """Mark the deployment of a model that is closed to orders, if there is one."""
    deployment = find_deployment(client, model)
    if deployment is not None and RETIRED not in deployment.tags:
        client.request(
            "PATCH",
            "/deployments/{id}",
            path_params={"id": deployment.id},
            json={"tags": [*deployment.tags, RETIRED], "paused": True},
        )


def _content(registry: Registry, plan: Plan, digest: str) -> bytes:
    archive = registry.content(digest)
    if archive is None:
        raise RunbookContentMissing(plan, digest)
    return archive


def _tags(plan: Plan) -> list[str]:
    return [f"service:{plan.service}", f"kind:{plan.kind}", *(f"team:{team}" for team in plan.owners.responsible)]


def _description(plan: Plan) -> str:
    summary = plan.summary.get("en") or next(iter(plan.summary.values()), "")
    return f"{title_of(plan)}\n\n{summary}".strip()
