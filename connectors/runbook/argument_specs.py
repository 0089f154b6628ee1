"""Options as Ansible's argument specs write them, and the value types they mean.

The keys are those of a role's `meta/argument_specs.yml` (`type`, `elements`, `options`, `choices`, `required`,
`default`, `no_log`, `aliases`, `description`); a playbook's meta may add `pattern`, `format` (date, date-time, email,
uri), `min_length`, `max_length`, `minimum` and `maximum`, which Ansible lacks and input that is not trusted needs.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from request_models.json_values import JsonValue
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    Member,
    NumberType,
    ObjectType,
    StringType,
    ValueType,
)

OptionType = Literal["str", "int", "float", "bool", "list", "dict", "path", "raw", "json", "jsonarg", "bytes", "bits"]
_TEXTS = {"str", "path", "json", "jsonarg", "bytes", "bits"}


class Option(BaseModel):
    """One option. `elements` types the items of a list; `options` the members of a dict, or of a list's dicts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: OptionType = "str"
    description: StrictStr | list[StrictStr] = ""
    required: bool = False
    default: Any = None
    elements: OptionType | None = None
    options: dict[str, "Option"] | None = None
    choices: list[Any] | None = None
    aliases: list[StrictStr] = Field(default_factory=list)
    no_log: bool = False
    version_added: str | float | None = None
    pattern: StrictStr | None = None
    format: Literal["date", "date-time", "email", "uri"] | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.elements is not None and self.type != "list":
            raise ValueError(f"`elements` is for lists, this is a {self.type}")
        if self.options is not None and "dict" not in (self.type, self.elements):
            raise ValueError("`options` is for dicts and lists of dicts")
        if self.required and self.default is not None:
            raise ValueError("a required option has no default")
        if (self.pattern or self.format) and not (_TEXTS & {self.type, self.elements}):
            raise ValueError("`pattern` and `format` are for texts")
        if self.choices is not None and _TEXTS & {self.type, self.elements}:
            odd = [choice for choice in self.choices if not isinstance(choice, str)]
            if odd:
                raise ValueError(f"the choice {odd[0]!r} is no text; write it in quotes")
        return self

    @property
    def text(self) -> str:
        """The description as one paragraph."""
        return self.description if isinstance(self.description, str) else " ".join(self.description)


def object_type(options: Mapping[str, Option], *, secret: bool = False, description: str = "") -> ObjectType:
    """The type of a map with these members and no others."""
    return ObjectType(
        members={name: _member(option) for name, option in options.items()}, secret=secret, description=description
    )


def _member(option: Option) -> Member:
    return Member(
        type=value_type(option), required=option.required, default=option.default, aliases=tuple(option.aliases)
    )


def value_type(option: Option) -> ValueType:
    """The type of an option's value. A bool is no int here, and `no_log` makes a value secret."""
    if option.type == "list":
        return ArrayType(
            items=_single(option, option.elements or "raw", described=False),
            secret=option.no_log,
            description=option.text,
        )
    return _single(option, option.type, described=True)


def _single(option: Option, kind: OptionType, *, described: bool) -> ValueType:
    secret = option.no_log
    description = option.text if described else ""
    if kind in _TEXTS:
        return StringType(
            enum=tuple(str(choice) for choice in option.choices) if option.choices else None,
            pattern=option.pattern,
            format=option.format,
            min_length=option.min_length,
            max_length=option.max_length,
            secret=secret,
            description=description,
        )
    if kind == "int":
        return IntegerType(
            minimum=None if option.minimum is None else int(option.minimum),
            maximum=None if option.maximum is None else int(option.maximum),
            enum=tuple(int(choice) for choice in option.choices) if option.choices else None,
            secret=secret,
            description=description,
        )
    if kind == "float":
        return NumberType(minimum=option.minimum, maximum=option.maximum, secret=secret, description=description)
    if kind == "bool":
        return BooleanType(secret=secret, description=description)
    if kind == "dict":
        if option.options is None:
            return ObjectType(others=AnyType(secret=secret), secret=secret, description=description)
        return object_type(option.options, secret=secret, description=description)
    return AnyType(secret=secret, description=description)


def with_defaults(options: Mapping[str, Option], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The arguments with each option present: its value, else its default, else null.

    Null where nothing is given keeps a variable of the inventory that happens to have the same name from slipping in,
    and Ansible takes it as not given. Aliases are replaced by the option's name.
    """
    return {name: _with_defaults(option, _given(name, option, given)) for name, option in options.items()}


def _given(name: str, option: Option, given: Mapping[str, JsonValue]) -> JsonValue:
    for spelling in (name, *option.aliases):
        if spelling in given:
            return given[spelling]
    default: JsonValue = option.default
    return default


def _with_defaults(option: Option, value: JsonValue) -> JsonValue:
    if option.options is None:
        return value
    if isinstance(value, dict):
        return with_defaults(option.options, value)
    if isinstance(value, list):
        return [with_defaults(option.options, item) if isinstance(item, dict) else item for item in value]
    return value


def secrets_in(options: Mapping[str, Option]) -> set[str]:
    """Names of the options of which any part is secret."""
    return {name for name, option in options.items() if option.no_log or secrets_in(option.options or {})}
