"""What all wire shapes have in common."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text: it is stored in columns and shown, so it holds no control characters."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _written_moment(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a date and time with its zone, such as 2026-11-20T09:30:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_moment, json_schema_input_type=AwareDatetime)]
"""A date-time of RFC 3339, as the document says. By itself the library also takes 0 for the first moment of 1970."""


class In(BaseModel):
    """What comes in: unknown members are refused, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(frozen=True)
