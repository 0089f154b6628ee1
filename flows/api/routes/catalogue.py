"""What can be ordered."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar, cast

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel

from flows.api.authentication import AuthenticatedCaller
from flows.api.documentation import problems
from flows.api.guarded_route import GuardedRoute
from flows.api.order_shapes import MatchedModel, Matches, MatchReason, MissingInput, Wanted
from flows.api.ordering import beneficiary_of
from flows.api.pages import PageLimit, PageToken, key_of, token_after
from flows.api.service import application_of, views_for
from flows.api.shapes import ModelDetail, ModelPage
from flows.errors import UnknownModel
from flows.lifecycle import FOR_OTHERS
from flows.matching import rank
from flows.records.records import Transaction
from flows.records.rows import Publication
from request_models.json_values import JsonValue
from request_models.plan import Plan

Shown = TypeVar("Shown", bound=BaseModel)

IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="An ETag; answered by 304 while it still holds.")
]

CATALOGUE_READ = "catalogue:read"

router = APIRouter(prefix="/v1/catalogue", tags=["catalogue"], route_class=GuardedRoute)


@router.get(
    "",
    responses={
        200: {"headers": {"ETag": {"description": "Changes with the page.", "schema": {"type": "string"}}}},
        304: {"description": "The page is as the ETag in `If-None-Match` says."},
        **problems("unauthenticated", "not-allowed", "invalid-request", "unavailable"),
    },
    response_model=ModelPage,
    operation_id="listModels",
)
def list_models(
    request: Request,
    response: Response,
    caller: AuthenticatedCaller,
    text: Annotated[str | None, Query(max_length=200, description="Part of a name, title or summary.")] = None,
    eligible: Annotated[
        bool | None,
        Query(description="Only what the caller may order for themselves; by default so, unless they may for others."),
    ] = None,
    limit: PageLimit = 50,
    page_token: PageToken = None,
    if_none_match: IfNoneMatch = None,
) -> ModelPage | Response:
    """The models that can be ordered, by name."""
    caller.require(CATALOGUE_READ)
    start = key_of(page_token)
    application = application_of(request)
    published = application.records.read(_published)
    if eligible or (eligible is None and not caller.may(FOR_OTHERS)):
        published = [one for one in published if application.lifecycle.ineligible(one[1], caller) is None]
    views = views_for(request)
    models = [views.model_summary(publication, plan) for publication, plan in published]
    if text:
        wanted = text.casefold()
        models = [model for model in models if wanted in f"{model.model} {model.title} {model.summary}".casefold()]
    page = [model for model in models if start is None or model.model > start]
    more = len(page) > limit
    shown = ModelPage(items=page[:limit], next_page_token=token_after(page[limit - 1].model) if more else None)
    return _unless_known(shown, f'"{_digest(shown)[:32]}"', if_none_match, response)


@router.post(
    ":match",
    responses=problems(
        "malformed-json", "unauthenticated", "not-allowed", "too-large", "not-json", "invalid-request", "unavailable"
    ),
    operation_id="matchModels",
)
def match_models(wanted: Wanted, request: Request, caller: AuthenticatedCaller) -> Matches:
    """Say what you want in your own words: the models that speak of it, with what is missing to order each."""
    caller.require(CATALOGUE_READ)
    application, views = application_of(request), views_for(request)
    published = {plan.model: (row, plan) for row, plan in application.records.read(_published)}
    user = beneficiary_of(wanted.requested_for)
    items = []
    for match in rank(wanted.text, [plan for _, plan in published.values()])[: wanted.limit]:
        row, plan = published[match.plan.model]
        refusal = application.lifecycle.ineligible(plan, caller, user)
        items.append(
            MatchedModel(
                **views.model_summary(row, plan).model_dump(),
                score=match.score,
                reasons=[MatchReason(field=field, words=list(words)) for field, words in match.reasons.items()],
                missing=_missing(plan, wanted.inputs),
                eligible=refusal is None,
                why_not="" if refusal is None else str(refusal),
            )
        )
    return Matches(items=items)


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
    if_none_match: IfNoneMatch = None,
) -> ModelDetail | Response:
    """One model, with the form that asks for its inputs."""
    caller.require(CATALOGUE_READ)
    found = application_of(request).records.read(lambda tx: _current(tx, model))
    if found is None:
        raise UnknownModel(model)
    detail = views_for(request).model_detail(*found)
    # The plan's digest, and one of what is shown: texts change without changing the plan.
    return _unless_known(detail, f'"{detail.digest[:32]}.{_digest(detail)[:16]}"', if_none_match, response)


def _published(tx: Transaction) -> list[tuple[Publication, Plan]]:
    return [(row, tx.plans.get(row.digest)) for row in tx.publications.all()]


def _current(tx: Transaction, model: str) -> tuple[Publication, Plan] | None:
    publication = tx.publications.current(model)
    return None if publication is None else (publication, tx.plans.get(publication.digest))


def _unless_known(shown: Shown, etag: str, if_none_match: str | None, response: Response) -> Shown | Response:
    """What is shown, or 304 if the caller has it."""
    headers = {"ETag": etag, "Vary": "Accept-Language, Authorization", "Cache-Control": "private, no-cache"}
    if etag in [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return shown


def _digest(shown: BaseModel) -> str:
    return hashlib.sha256(shown.model_dump_json().encode()).hexdigest()


def _missing(plan: Plan, given: Mapping[str, JsonValue]) -> list[MissingInput]:
    """What the schema requires and is not given; what a condition asks for is known only when the rest is."""
    properties = cast(Mapping[str, Mapping[str, JsonValue]], plan.inputs.get("properties", {}))
    required = cast(Sequence[str], plan.inputs.get("required", []))
    return [
        MissingInput(name=name, title=title if isinstance(title := properties[name].get("title"), str) else "")
        for name in plan.input_order or properties
        if name in required and name not in given
    ]
