"""What operations do to the world: the reviewed lines of effects.yaml, and those of a user's own files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from request_models.actions import EffectClass, ErrorClass, Outcome

Codes = tuple[str, ...]


class EffectsInvalid(ValueError):
    """A file of effects that cannot be read; the message names the file and the line's operation."""


class Before(BaseModel):
    """A read made before the call, so that the outcome says what we did (design section 4, invariant 5).

    `arguments` gives the read its arguments: a dotted path in the call's arguments, or a text with names in braces.
    `@account` is the account's id, `@region` the call's region. An error in `absent` says that nothing is there yet,
    one in `foreign` that what is there is somebody else's; any other error of the read is the call's failure.
    With `among`, a list in the answer is searched for the item that has all of `identified_by` (item path to path in
    the call's arguments); no such item: nothing is there yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str
    arguments: dict[str, str] = Field(default_factory=dict)
    absent: Codes = ()
    foreign: Codes = ()
    among: str | None = None
    identified_by: dict[str, str] = Field(default_factory=dict)
    same: dict[str, str] | None = None
    """Paths in the call's arguments to paths in what was found: where all that is given is found there, it is already
    so. Empty: what is found is always the same; not there: it cannot be compared, and counts as different."""
    when_same: Literal["call", "skip"] = "call"
    """`skip` where a repeated call is refused, or does more than it seems to."""
    when_different: Literal["call", "refuse"] = "call"
    """`refuse` for what creates: something else of that name is there, and it is not ours to change."""
    answer: dict[str, str] = Field(default_factory=dict)
    """Members of the result when the call is skipped: `@found.PATH`, or a text with `{Argument}`. Members that the
    read's answer has under the same name are taken from there."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.among is None) != (not self.identified_by):
            raise ValueError("among goes with identified_by")
        return self


def _duration(value: object) -> object:
    return TypeAdapter(timedelta).validate_python(value) if isinstance(value, str) else value


class Effect(BaseModel):
    """One operation. `why` is what the reviewer stands on; `outcome` is what a success means without a `before`.

    `already_so` are error codes that say that the aim was reached before the call (deleting what is gone); `errors`
    sorts codes that mean something special here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    effect: EffectClass
    why: Annotated[str, Field(min_length=3)]
    outcome: Outcome = Outcome.MADE
    token_lifetime: Annotated[timedelta | None, BeforeValidator(_duration)] = None
    before: Before | None = None
    already_so: Codes = ()
    errors: dict[str, ErrorClass] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.effect is EffectClass.TAKES_TOKEN) != (self.token_lifetime is not None):
            raise ValueError("token_lifetime goes with the effect takes-token, and only with it")
        if self.effect is EffectClass.READ_ONLY and (self.before is not None or self.outcome is not Outcome.READ):
            raise ValueError("a read-only operation has the outcome read and no read before it")
        return self


UNREVIEWED = Effect(effect=EffectClass.NOT_REPEATABLE, why="Nobody has reviewed it; nothing is guessed from its name.")


@dataclass(frozen=True)
class Effects:
    """Reviewed operations by `service.operation`; everything else is not repeatable."""

    lines: Mapping[str, Effect]

    def of(self, service: str, operation: str) -> Effect:
        """What an operation does; `UNREVIEWED` when nobody said."""
        return self.lines.get(f"{service}.{operation}", UNREVIEWED)


def load_effects(own_files: Iterable[Path] = ()) -> Effects:
    """The shipped lines and those of the files given, later ones winning. Raises EffectsInvalid, OSError."""
    lines = dict(_shipped())
    for file in own_files:
        lines.update(_parse(str(file), file.read_text(encoding="utf-8")))
    return Effects(lines)


@cache
def _shipped() -> Mapping[str, Effect]:
    file = resources.files("connectors.aws") / "effects.yaml"
    return _parse("effects.yaml", file.read_text(encoding="utf-8"))


def _parse(name: str, text: str) -> Mapping[str, Effect]:
    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise EffectsInvalid(f"{name} is no YAML: {error}") from error
    if document is not None and not isinstance(document, dict):
        raise EffectsInvalid(f"{name} is a map of services to operations, not a {type(document).__name__}")
    lines: dict[str, Effect] = {}
    for service, operations in (document or {}).items():
        if not isinstance(operations, dict):
            raise EffectsInvalid(f"{name}, {service}: a service holds a map of operations")
        for operation, line in operations.items():
            lines[f"{service}.{operation}"] = _line(name, f"{service}.{operation}", line)
    return lines


def _line(file: str, operation: str, line: object) -> Effect:
    try:
        return Effect.model_validate(_with_read_outcome(line))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the line'}: {problem['msg']}" for problem in error.errors()
        )
        raise EffectsInvalid(f"{file}, {operation}: {problems}") from error


def _with_read_outcome(line: object) -> object:
    """Reading is all a read-only operation does; its lines need not say so twice."""
    if isinstance(line, dict) and line.get("effect") == EffectClass.READ_ONLY.value:
        return {"outcome": Outcome.READ.value, **line}
    return line
