"""Options as Ansible's argument specs write them, and the value types they mean.

The keys are those of a role's `meta/argument_specs.yml` (`type`, `elements`, `options`, `choices`, `required`,
`default`, `no_log`, `aliases`, `description`); a playbook's meta may add `pattern`, `format` (date, date-time, email,
uri), `min_length`, `max_length`, `minimum` and `maximum`, which Ansible lacks and input that is not trusted needs.

What fits the types made here passes Ansible's own ArgumentSpecValidator. The reverse does not hold. Of values, these
are refused and Ansible takes them:

- whatever Ansible would convert: only text is text, numbers and booleans are not made from text or from each other, a
  list is not made from `a,b`, nor a dict from `a=b` or from JSON; true and false are no numbers;
- `json` and `jsonarg` take text, and `bytes` and `bits` text such as `10M` or `1.5 GB` (Ansible takes numbers too,
  dicts and lists for JSON, and units written out);
- null, but for `raw`: what is not given is left out;
- items of a list with `options` that are no dicts of these, also where `elements` does not say `dict` (some roles
  forget it, and Ansible then looks at no item);
- an option given twice, under its name and under an alias (Ansible takes the alias);
- what `pattern`, `format` and the bounds say.

Of specs, these are refused and Ansible takes them, though it would heed most of them in no run of a role:

- keys other than those above: `mutually_exclusive`, `required_if` and the like (which Ansible knows within `options`,
  and documents for modules only), `apply_defaults`, `fallback`, `deprecated_aliases`, `removed_in_version`;
- `options` of what is neither a dict nor a list, which Ansible does not look at;
- `choices` that are not of the option's own type or are none, choices of a boolean but both, choices for `dict`,
  `json`, `jsonarg`, `bytes`, `bits`, and paths with `~` or `$` among them: Ansible converts before it compares;
- one name for two options.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, TypeAdapter, model_validator

from request_models.json_values import JsonValue, NotJsonError, refuse_what_is_not_json
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    Member,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
    check_value,
)

OptionType = Literal["str", "int", "float", "bool", "list", "dict", "path", "raw", "json", "jsonarg", "bytes", "bits"]
_TEXTS = {"str", "path", "json", "jsonarg", "bytes", "bits"}
_SIZES = {
    "bytes": r"^[0-9]{0,15}\.?[0-9]{1,15} ?([YZEPTGMK]B?|[yzeptgmkBb])?$",
    "bits": r"^[0-9]{0,15}\.?[0-9]{1,15} ?([YZEPTGMK]b?|[yzeptgmkBb])?$",
}
_PATTERNS = {**_SIZES, "path": r"^[^\u0000]*$"}
"""What Ansible takes of texts that mean more to it than text."""
_CHOSEN: Mapping[str, tuple[type, ...]] = {
    "str": (str,), "path": (str,), "int": (int,), "float": (int, float), "bool": (bool,),
    "raw": (str, int, float, bool, type(None)),
}  # fmt: skip
"""What choices are, by the type of what is chosen; other types have none."""


def _no_name_twice(options: "dict[str, Option]") -> "dict[str, Option]":
    names = [name for key, option in options.items() for name in dict.fromkeys((key, *option.aliases))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two options are called `{twice[0]}`")
    return options


Options = Annotated[dict[str, "Option"], AfterValidator(_no_name_twice)]
"""Options by name."""


class Option(BaseModel):
    """One option. `elements` types the items of a list; `options` the members of a dict, or of a list's dicts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: OptionType = "str"
    description: StrictStr | list[StrictStr] = ""
    required: bool = False
    default: Any = None
    elements: OptionType | None = None
    options: Options | None = None
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
        if self.options is not None and self.chosen != "dict":
            raise ValueError("`options` is for dicts and lists of dicts")
        if self.required and self.default is not None:
            raise ValueError("a required option has no default")
        if (self.pattern or self.format) and not (_TEXTS & {self.type, self.elements}):
            raise ValueError("`pattern` and `format` are for texts")
        if (self.pattern or self.format) and _SIZES.keys() & {self.type, self.elements}:
            raise ValueError("`bytes` and `bits` have a pattern of their own")
        if self.choices is not None:
            self._refuse_choices(self.choices)
        return self

    @property
    def items(self) -> OptionType:
        """The type of a list's items. Where `options` are given they are dicts, if Ansible lets dicts pass there."""
        loose = self.elements in {None, "raw", "str"}
        return "dict" if loose and self.options is not None else self.elements or "raw"

    def _refuse_choices(self, choices: list[Any]) -> None:
        if self.chosen not in _CHOSEN:
            raise ValueError(f"`choices` are not for {self.chosen}")
        if not choices:
            raise ValueError("`choices` are empty: nothing could be given")
        odd = [choice for choice in choices if type(choice) not in _CHOSEN[self.chosen]]
        if odd and self.chosen in _TEXTS:
            raise ValueError(f"the choice {odd[0]!r} is no text; write it in quotes")
        if odd:
            raise ValueError(f"the choice {odd[0]!r} is no {self.chosen}")
        if len({choice for choice in choices if isinstance(choice, bool)}) == 1:
            raise ValueError("a choice of true or of false alone is none; leave the option out")
        if self.chosen == "path" and any("$" in choice or choice.startswith("~") for choice in choices):
            raise ValueError("`choices` of a path have no `~` and no `$`: Ansible replaces these before it compares")

    @property
    def chosen(self) -> OptionType:
        """The type that `choices` are of: that of a list's items, else the option's own."""
        return self.items if self.type == "list" else self.type

    @property
    def takes_null(self) -> bool:
        """Whether Ansible takes null for "not given"; for options with choices or a default it does not."""
        if self.choices is not None:
            return None in self.choices and self.type == "raw"
        return self.type == "raw" or not (self.required or self.default is not None)

    @property
    def text(self) -> str:
        """The description as one paragraph."""
        return self.description if isinstance(self.description, str) else " ".join(self.description)


def refuse_unfit_defaults(options: dict[str, Option]) -> dict[str, Option]:
    """The options. Raises ValueError for a default that its own option does not take: every run would be refused."""
    for name, option in _no_name_twice(options).items():
        refuse_unfit_defaults(option.options or {})
        if option.default is None:
            continue
        try:
            refuse_what_is_not_json(option.default)
        except NotJsonError as error:
            raise ValueError(f"the default of `{name}` is no JSON ({error}); write it in quotes") from None
        for wrong in check_value(value_type(option), option.default):
            raise ValueError(f"the default of `{name}` {wrong.message}")
    return options


OPTIONS: TypeAdapter[dict[str, Option]] = TypeAdapter(Options)
"""Reads the options of an entry point of a role. Raises pydantic's ValidationError."""


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
            items=_single(option, option.items, described=False),
            secret=option.no_log,
            description=option.text,
        )
    return _single(option, option.type, described=True)


def _single(option: Option, kind: OptionType, *, described: bool) -> ValueType:
    secret = option.no_log
    description = option.text if described else ""
    if kind in _TEXTS:
        return StringType(
            enum=None if option.choices is None else tuple(option.choices),
            pattern=option.pattern or _PATTERNS.get(kind),
            format=option.format,
            min_length=option.min_length,
            max_length=option.max_length,
            secret=secret,
            description=description,
        )
    if kind == "int":
        return IntegerType(
            minimum=None if option.minimum is None else math.ceil(option.minimum),
            maximum=None if option.maximum is None else math.floor(option.maximum),
            enum=None if option.choices is None else tuple(option.choices),
            secret=secret,
            description=description,
        )
    if kind == "float":
        return _float(option, description)
    if kind == "bool":
        return BooleanType(secret=secret, description=description)
    if kind == "dict":
        free = ObjectType(others=AnyType(secret=secret), secret=secret, description=description)
        known = option.options
        return free if known is None else object_type(known, secret=secret, description=description)
    if kind == "list":
        return ArrayType(secret=secret, description=description)
    if option.choices is not None:
        return UnionType(options=_one_of(option.choices), secret=secret, description=description)
    return AnyType(secret=secret, description=description)


def _float(option: Option, description: str) -> ValueType:
    # A whole number greater than any float makes Ansible's own check fail.
    least, most = (option.minimum, -sys.float_info.max), (option.maximum, sys.float_info.max)
    number = NumberType(
        minimum=next(bound for bound in least if bound is not None),
        maximum=next(bound for bound in most if bound is not None),
        secret=option.no_log,
        description=description,
    )
    if option.choices is None:
        return number
    fitting = tuple(choice for choice in option.choices if not check_value(number, choice))
    return UnionType(options=_one_of(fitting), secret=option.no_log, description=description)


def _one_of(choices: Sequence[Any]) -> tuple[ValueType, ...]:
    """Types for choices of several kinds; of booleans there are both or none."""
    texts = tuple(choice for choice in choices if isinstance(choice, str))
    numbers = [choice for choice in choices if isinstance(choice, int | float) and not isinstance(choice, bool)]
    return (
        *((StringType(enum=texts),) if texts else ()),
        *(NumberType(minimum=number, maximum=number) for number in numbers),
        *((BooleanType(),) if any(isinstance(choice, bool) for choice in choices) else ()),
        *((NullType(),) if None in choices else ()),
    )


def with_defaults(options: Mapping[str, Option], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The arguments with each option present: its value, else its default, else null.

    Null where nothing is given keeps a variable of the inventory that happens to have the same name from slipping in.
    Ansible takes it as not given, but in an option of a role with choices or a default: role_arguments.py finds these.
    Aliases are replaced by the option's name.
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
