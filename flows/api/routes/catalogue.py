"""What can be ordered."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from flows.api.authentication import AuthenticatedCaller
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.pages import PageLimit, PageToken, key_of, token_after
from flows.api.service import application_of, views_for
from flows.api.shapes import ModelDetail, ModelPage
from flows.errors import UnknownModel
from flows.records.records import Transaction
from flows.records.rows import Publication
from request_models.plan import Plan

CATALOGUE_READ = "catalogue:read"

router = APIRouter(prefix="/v1/catalogue", tags=["catalogue"], route_class=GuardedRoute)


@router.get(
    "",
    responses=problems("unauthenticated", "not-allowed", "invalid-request", "unavailable"),
    operation_id="listModels",
)
def list_models(
    request: Request,
    caller: AuthenticatedCaller,
    text: Annotated[str | None, Query(max_length=200, description="Part of a name, title or summary.")] = None,
    limit: PageLimit = 50,
    page_token: PageToken = None,
) -> ModelPage:
    """The models that can be ordered, by name."""
    caller.require(CATALOGUE_READ)
    start = key_of(page_token)
    published = application_of(request).records.read(_published)
    views = views_for(request)
    models = [views.model_summary(publication, plan) for publication, plan in published]
    if text:
        wanted = text.casefold()
        models = [model for model in models if wanted in f"{model.model} {model.title} {model.summary}".casefold()]
    page = [model for model in models if start is None or model.model > start]
    more = len(page) > limit
    return ModelPage(items=page[:limit], next_page_token=token_after(page[limit - 1].model) if more else None)


@router.get(
    "/{model}",
    responses={
        200: {"headers": {"ETag": {"description": "Changes with the model.", "schema": {"type": "string"}}}},
        304: {"description": "The model is as the ETag in `If-None-Match` says."},
        **problems("unauthenticated", "not-allowed", "unknown-model", "unavailable"),
    },
    response_model=ModelDetail,
    operation_id="getModel",
)
def get_model(
    model: str,
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="An ETag; answered by 304 while it still holds.")
    ] = None,
) -> ModelDetail | Response:
    """One model, with the form that asks for its inputs."""
    caller.require(CATALOGUE_READ)
    found = application_of(request).records.read(lambda tx: _current(tx, model))
    if found is None:
        raise UnknownModel(model)
    detail = views_for(request).model_detail(*found)
    headers = {"ETag": _etag(detail), "Vary": "Accept-Language", "Cache-Control": "private, no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return detail


def _published(tx: Transaction) -> list[tuple[Publication, Plan]]:
    return [(row, tx.plans.get(row.digest)) for row in tx.publications.all()]


def _current(tx: Transaction, model: str) -> tuple[Publication, Plan] | None:
    publication = tx.publications.current(model)
    return None if publication is None else (publication, tx.plans.get(publication.digest))


def _etag(detail: ModelDetail) -> str:
    """The plan's digest, and one of what is shown: texts change without changing the plan."""
    shown = hashlib.sha256(detail.model_dump_json().encode()).hexdigest()
    return f'"{detail.digest[:32]}.{shown[:16]}"'
