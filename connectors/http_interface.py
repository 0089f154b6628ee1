"""What HTTP calls take and answer: settings, methods, types."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from request_models.actions import EffectClass, Outcome
from request_models.durations import DURATION_PATTERN
from request_models.value_types import (
    AnyType,
    ArrayType,
    BooleanType,
    IntegerType,
    Member,
    NumberType,
    ObjectType,
    StringType,
    UnionType,
    ValueType,
)


class HttpSettings(BaseModel):
    """All of `connectors.http`. `allow` are host names, `*` stands for anything (`*.example.org`); empty allows all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[str, ...] = ()
    timeout: Annotated[float, Field(gt=0, le=900)] = 60.0
    """Seconds without a byte of answer; a shorter timeout of the step wins."""
    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 10.0
    max_body_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024


@dataclass(frozen=True)
class Method:
    """One method of HTTP and what it promises (RFC 9110, section 9.2)."""

    name: str
    effect: EffectClass
    outcome: Outcome
    has_body: bool
    summary: str

    @property
    def takes_key(self) -> bool:
        """Whether a service may be asked to know a repeated request by its Idempotency-Key."""
        return self.effect is EffectClass.NOT_REPEATABLE

    @property
    def reads(self) -> bool:
        return self.effect is EffectClass.READ_ONLY


METHODS = (
    Method("get", EffectClass.READ_ONLY, Outcome.READ, has_body=False, summary="Read what is at an address"),
    Method("head", EffectClass.READ_ONLY, Outcome.READ, has_body=False, summary="Ask whether an address is there"),
    Method("post", EffectClass.NOT_REPEATABLE, Outcome.MADE, has_body=True, summary="Hand something to a service"),
    Method("put", EffectClass.IDEMPOTENT, Outcome.CHANGED, has_body=True, summary="Put something at an address"),
    Method("patch", EffectClass.NOT_REPEATABLE, Outcome.CHANGED, has_body=True, summary="Change part of something"),
    Method("delete", EffectClass.IDEMPOTENT, Outcome.CHANGED, has_body=True, summary="Remove what is at an address"),
)


KEY_LIFETIME = "honours_key_for"
"""The argument by which a model promises that the service knows a repeated request by its Idempotency-Key."""

_TEXT_TYPE = StringType(pattern=r"^[\t -~]*$", secret=True, description="May be secret: it is not shown")
_QUERY_VALUE = UnionType(options=(StringType(), BooleanType(), IntegerType(), NumberType()))
RESULT_TYPE = ObjectType(
    members={
        "status": Member(type=IntegerType(minimum=100, maximum=599), required=True),
        "headers": Member(type=ObjectType(others=StringType(), description="Names in small letters"), required=True),
        "text": Member(type=StringType(description="The body as text"), required=True),
        "json": Member(type=AnyType(description="The body, when it is JSON and says so")),
        "truncated": Member(type=BooleanType(description="The body was longer than is kept"), required=True),
    }
)


def arguments_type(method: Method) -> ObjectType:
    """What a call with this method may be given."""
    members: dict[str, Member] = {
        "url": Member(
            type=StringType(pattern="^[Hh][Tt][Tt][Pp][Ss]?://[^/]", max_length=8000, format="uri"), required=True
        ),
        "headers": Member(type=ObjectType(others=_TEXT_TYPE)),
        "query": Member(type=ObjectType(others=_one_or_more(_QUERY_VALUE))),
        "any_status": Member(type=BooleanType(description="Take any answer as a result"), default=False),
    }
    if method.takes_key:
        members[KEY_LIFETIME] = Member(
            type=StringType(
                pattern=f"^{DURATION_PATTERN}$",
                max_length=40,
                description="The service answers a repeated Idempotency-Key with its first answer, and knows it for "
                "this long (PT24H): then a request whose answer was lost is sent again; otherwise it is held",
            )
        )
    if method.reads:
        redirects = StringType(enum=("same_host", "any", "none"))
        members["redirects"] = Member(type=redirects, default="same_host")
    if method.has_body:
        members["json"] = Member(type=AnyType(secret=True))
        members["body"] = Member(type=StringType(secret=True))
        members["form"] = Member(type=ObjectType(others=_one_or_more(StringType(secret=True)), secret=True))
    return ObjectType(members=members)


def _one_or_more(item: ValueType) -> UnionType:
    return UnionType(options=(item, ArrayType(items=item)))
