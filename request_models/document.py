"""What all documents of the model language have in common: strict, frozen, no unknown keys; and their simple types."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from request_models.durations import DURATION_PATTERN, parse_duration


def _texts(value: object) -> object:
    return {"en": value} if isinstance(value, str) else value


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Identifier = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]*\z", max_length=64)]
"""Names of steps, inputs, values, prerequisites, approvals and outputs."""
ModelName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9]+(-[A-Za-z0-9]+)*\z", max_length=63)]
"""The name of a model."""
Filled = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[
    dict[str, Filled],
    BeforeValidator(_texts),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "minLength": 1}},
            ]
        }
    ),
]
"""One text, or a map of language codes to texts; one text counts as English."""
Duration = Annotated[
    str, AfterValidator(_is_duration), WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$"})
]
"""An ISO 8601 duration of a fixed length."""
OneOrMore = Annotated[
    tuple[Filled, ...],
    BeforeValidator(_one_or_more),
    Field(strict=False, min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
            ]
        }
    ),
]
"""One text, or a list of them."""


class Document(BaseModel):
    """Part of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=False)
