"""The page behind the link of a mail. GET changes nothing, since mail scanners open every link; POST decides."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from flows.api.decision_page import page_of
from flows.api.service import application_of
from flows.approval_links import LinkState, Opened
from flows.errors import ApprovalClosed, MayNotDecide
from flows.records.approval_rows import Decision

router = APIRouter(prefix="/decide", include_in_schema=False)

Token = Annotated[str, Path(max_length=200)]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    # The address is the credential: it goes nowhere from here.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_STATUS = {
    LinkState.GOOD: 200,
    LinkState.UNKNOWN: 404,
    LinkState.USED: 410,
    LinkState.EXPIRED: 410,
    LinkState.CLOSED: 410,
    LinkState.NOT_YOURS: 403,
}
_LONGEST_FORM = 20_000
_LONGEST_REASON = 2000


@router.get("/{token}")
def show(token: Token, request: Request) -> HTMLResponse:
    """What the link is for, with a form to decide."""
    return _page(request, application_of(request).approval_links.open(token))


@router.post("/{token}")
async def decide(token: Token, request: Request) -> HTMLResponse:
    """Decide by the form's `decision` and `reason`."""
    body = await request.body()
    return await run_in_threadpool(_decide, token, request, body)


def _decide(token: str, request: Request, body: bytes) -> HTMLResponse:
    links = application_of(request).approval_links
    form = _form(body)
    reason = form.get("reason", [""])[0].replace("\0", "").strip()[:_LONGEST_REASON]
    wanted = form.get("decision", [""])[0]
    if wanted not in {Decision.APPROVE, Decision.REJECT}:
        return _page(request, links.open(token), "Choose one of the two.", 422)
    if wanted == Decision.REJECT and not reason:
        return _page(request, links.open(token), "Say why you refuse: the requester is told.", 422)
    try:
        return _page(request, links.decide(token, Decision(wanted), reason), decided=True)
    except (ApprovalClosed, MayNotDecide) as error:
        return _page(request, links.open(token), str(error), 409)


def _form(body: bytes) -> dict[str, list[str]]:
    """The fields of a form; of what is none, none."""
    try:
        return parse_qs(body[:_LONGEST_FORM].decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return {}


def _page(
    request: Request, opened: Opened, said: str = "", status: int | None = None, *, decided: bool = False
) -> HTMLResponse:
    language = request.headers.get("accept-language")
    page = page_of(opened, language, said=said, decided=decided and opened.state is LinkState.GOOD)
    good = status if status is not None and opened.state is LinkState.GOOD else _STATUS[opened.state]
    return HTMLResponse(page, status_code=good, headers=_HEADERS)
