"""Page cursors: where a listing stopped, opaque to who carries it."""

import base64
import json
from datetime import datetime

from flows.records.column_types import from_microseconds, to_microseconds
from flows.records.errors import InvalidCursor
from request_models.json_values import canonical_json


def write_cursor(submitted: datetime, request_id: str) -> str:
    """The cursor of the last row of a page."""
    place = canonical_json([to_microseconds(submitted), request_id])
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The row a cursor names; raises InvalidCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        microseconds, request_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if type(microseconds) is not int or type(request_id) is not str:
            raise InvalidCursor
        request_id.encode()
        return from_microseconds(microseconds), request_id
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidCursor from None
