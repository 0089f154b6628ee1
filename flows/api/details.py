"""One request as every operation on it answers: its version is its `ETag`, which an act may give as `If-Match`."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Request, Response

from flows.api.service import application_of, views_for
from flows.api.shapes import RequestDetail
from flows.api.views import Known
from flows.errors import RequestNotFound
from flows.records.rows import RequestRow

RequestId = Annotated[str, Path(description="The request's id.")]

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=40,
        pattern=r'^(\*|"[0-9]{1,12}")$',
        description="The `ETag` of what you looked at: if it was changed since, nothing is done (412).",
    ),
]


def detail_of(request: Request, response: Response, row: RequestRow) -> RequestDetail:
    """The request with all that may be shown of it."""
    known = application_of(request).records.read(lambda tx: Known.read(tx, row))
    response.headers["ETag"] = etag_of(row.version)
    return views_for(request).request_detail(row, known)


def etag_of(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def version_in(if_match: str | None) -> int | None:
    """The version that an `If-Match` names; None for none, and for `*`."""
    return None if if_match is None or if_match == "*" else int(if_match.strip('"'))


def known_form(request_id: str) -> str:
    """The id as it is recorded. What is no UUID is no request: databases differ in what they say of it."""
    try:
        return str(UUID(request_id))
    except ValueError:
        raise RequestNotFound(request_id) from None
