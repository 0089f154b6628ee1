"""What operations do to the world: one reviewed line each, as effects.yaml writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from request_models.actions import EffectClass, ErrorClass, Outcome

Codes = tuple[str, ...]

MARK = "orderly:token"
"""Key of the tag that says which effect made a thing; its value is the effect's token."""


class LifetimeSource(StrEnum):
    """Where the lifetime of a token is known from.

    `service-model`: the documentation inside botocore says it. `memory`: the reviewer remembers AWS's pages saying it.
    `assumed`: AWS says nothing we know of, and the reviewer chose a time that is surely too short.
    """

    SERVICE_MODEL = "service-model"
    MEMORY = "memory"
    ASSUMED = "assumed"


class Look(BaseModel):
    """A read, and how what is looked for is found in its answer.

    `arguments` gives the read its arguments: a dotted path in the call's arguments, a text with names in braces, a
    literal that begins with `=`, or lists and maps of these. `@account` is the account's id, `@region` the call's
    region, `@token` the effect's token. An error in `absent` says that nothing is there, one in `foreign` that what is
    there is somebody else's; any other error of the read is the look's failure. With `among`, a list in the answer is
    searched for the item that has all of `identified_by` (item path to what `arguments` may hold too), or for the first
    item where nothing identifies it; with `every`, all items are found, as `items`. No such item: nothing is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str
    arguments: dict[str, Any] = Field(default_factory=dict)  # JSON: pydantic takes no alias that names itself
    absent: Codes = ()
    foreign: Codes = ()
    among: str | None = None
    identified_by: dict[str, str] = Field(default_factory=dict)
    every: bool = False
    answer: dict[str, str] = Field(default_factory=dict)
    """Members of the call's result, when the look stands in for its answer: `@found`, `@found.PATH`, or a text with
    `{Argument}`. Members that the read's answer has under the same name are taken from there."""

    @model_validator(mode="after")
    def _search_is_whole(self) -> Self:
        if self.among is None and (self.identified_by or self.every):
            raise ValueError("identified_by and every go with among")
        return self


class Before(Look):
    """A read made before the call, so that the outcome says what we did (design section 4, invariant 5)."""

    aim: Literal["present", "absent"] = "present"
    """`absent` for what deletes: where nothing is there it is already so, and what was there is what changed."""
    same: dict[str, str] | None = None
    """Paths in the call's arguments to paths in what was found: where all that is given is found there, it is already
    so. Empty: what is found is always the same; not there: it cannot be compared, and counts as different."""
    when_same: Literal["call", "skip"] = "call"
    """`skip` where a repeated call is refused, or does more than it seems to."""
    when_different: Literal["call", "refuse"] = "call"
    """`refuse` for what creates: something else of that name is there, and it is not ours to change."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.aim == "absent" and (self.same is not None or self.when_different == "refuse"):
            raise ValueError("same and when_different are for what makes or changes, not for aim: absent")
        return self


class Remedy(BaseModel):
    """A call that puts something back: of another operation, or without one of the operation itself.

    `arguments` as those of a `Look`; `@before.PATH` is what the read before the call had found. What is not found there
    is left out. Sent again, it must do nothing more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str | None = None
    arguments: dict[str, Any]


class Restore(Remedy):
    """How what was there before is put back; `nothing`: how what was put where nothing had been is taken away."""

    nothing: Remedy | None = None


class Mark(BaseModel):
    """The tag that the call puts on what it makes, by which a probe knows it. `member` is the argument of the tags."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: str
    resource_type: str | None = None
    """With EC2's `TagSpecifications`: what is tagged."""


def _duration(value: object) -> object:
    return TypeAdapter(timedelta).validate_python(value) if isinstance(value, str) else value


Length = Annotated[timedelta, BeforeValidator(_duration)]


class Effect(BaseModel):
    """One operation. `why` is what the reviewer stands on; `outcome` is what a success means without a `before`.

    `already_so` are error codes that say that the aim was reached before the call (deleting what is gone); `errors`
    sorts codes that mean something special here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    effect: EffectClass
    why: Annotated[str, Field(min_length=3)]
    outcome: Outcome = Outcome.MADE
    token_lifetime: Length | None = None
    token_lifetime_source: LifetimeSource | None = None
    token_member: str | None = None
    """The argument that takes the token, where botocore does not mark it as one."""
    before: Before | None = None
    restore: Restore | None = None
    mark: Mark | None = None
    probe: Look | None = None
    """A look that finds only what this effect made: by its mark, or by the token that AWS shows."""
    removes: tuple[str, ...] = ()
    """The arguments that together name a thing which is gone after the call; empty where only a setting goes."""
    settles: Length = timedelta(seconds=30)
    """How long after a call its absence is no proof, since it may be under way, or not be seen everywhere."""
    already_so: Codes = ()
    errors: dict[str, ErrorClass] = Field(default_factory=dict)

    @property
    def probes(self) -> bool:
        """Whether it can be found out what an unanswered call did."""
        return self.probe is not None or self.effect is EffectClass.HAS_PROBE

    @model_validator(mode="after")
    def _token_is_whole(self) -> Self:
        takes_token = self.effect is EffectClass.TAKES_TOKEN
        if takes_token != (self.token_lifetime is not None):
            raise ValueError("token_lifetime goes with the effect takes-token, and only with it")
        if takes_token != (self.token_lifetime_source is not None):
            raise ValueError(
                "token_lifetime_source goes with token_lifetime: service-model, memory or assumed, as you know it"
            )
        if self.token_member is not None and not takes_token and self.probe is None:
            raise ValueError("token_member goes with the effect takes-token, or with a probe that looks for it")
        return self

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        looks = (self.before, self.mark, self.probe)
        if self.effect is EffectClass.READ_ONLY and (any(looks) or self.outcome is not Outcome.READ):
            raise ValueError("a read-only operation has the outcome read, and no before, mark or probe")
        if self.effect is not EffectClass.READ_ONLY and self.outcome is Outcome.READ:
            raise ValueError("only a read-only operation has the outcome read")
        if self.effect is EffectClass.HAS_PROBE and self.before is None and self.probe is None:
            raise ValueError("has-probe needs a probe, or a before that tells what was there")
        if self.restore is not None and self.before is None:
            raise ValueError("restore goes with a before that reads what is to be put back")
        if self.mark is not None and self.probe is None:
            raise ValueError("mark goes with a probe that looks for it")
        return self


UNREVIEWED = Effect(effect=EffectClass.NOT_REPEATABLE, why="Nobody has reviewed it; nothing is guessed from its name.")


@dataclass(frozen=True)
class Effects:
    """Reviewed operations by `service.operation`; everything else is not repeatable."""

    lines: Mapping[str, Effect]

    def of(self, service: str, operation: str) -> Effect:
        """What an operation does; `UNREVIEWED` when nobody said."""
        return self.lines.get(f"{service}.{operation}", UNREVIEWED)
