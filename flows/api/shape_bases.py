"""What all wire shapes have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text: it is stored in columns and shown, so it holds no control characters."""


class In(BaseModel):
    """What comes in: unknown members are refused, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(frozen=True)
