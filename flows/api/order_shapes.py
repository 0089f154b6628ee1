"""The wire shapes around an order: judging one without placing it, and finding the model for what is wanted."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from flows.api.pages import LONGEST_PAGE
from flows.api.problems import Problem
from flows.api.shape_bases import In, Moment, Out, Token
from flows.api.shapes import Beneficiary, ModelSummary
from flows.records.states import RequestState

Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class WantedRequests(BaseModel):
    """Which requests to list: those that fit all that is said."""

    model_config = ConfigDict(frozen=True)

    state: RequestState | None = Field(None, description="Only requests in this state.")
    model: Text | None = Field(None, description="Only requests for this model.")
    requester: Text | None = Field(None, description="Only requests that this person ordered.")
    source_system: Text | None = Field(None, description="Only requests from this front-end.")
    source_id: Text | None = Field(None, description="Only requests from the ticket with this id.")
    submitted_from: Moment | None = Field(None, description="Only requests of this moment or later.")
    submitted_before: Moment | None = Field(None, description="Only requests before this moment.")
    text: Text | None = Field(None, description="Part of an id or of a person's name.")
    limit: int = Field(50, ge=1, le=LONGEST_PAGE, description="How many at most.")
    page_token: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="`next_page_token` of the page before; all else stays the same."
    )


class Verdict(Out):
    """Whether an order would be accepted. Nothing was recorded, and no other system was asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "valid": True,
                    "model": "project-bucket",
                    "model_version": 3,
                    "inputs": {"project": "apollo", "region": "eu-west-1"},
                    "starts": "2026-11-20T09:30:00.000000Z",
                    "due": "2026-11-20T09:45:00.000000Z",
                    "problem": None,
                }
            ]
        }
    )

    valid: bool
    model: str
    model_version: int | None = None
    inputs: dict[str, JsonValue] = Field({}, description="As they would be accepted; secret ones are null.")
    starts: datetime | None = Field(None, description="When it would start.")
    due: datetime | None = None
    problem: Problem | None = Field(None, description="What the order would be answered with, if it is not valid.")


class Wanted(In):
    """What somebody wants, in their own words."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "a bucket for project apollo", "inputs": {"project": "apollo"}}]}
    )

    text: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")] = Field(
        examples=["a bucket for project apollo"]
    )
    inputs: dict[str, Any] = Field(default_factory=dict, description="What is known already, by the inputs' names.")
    requested_for: Token | Beneficiary | None = Field(None, description="As in an order.")
    limit: int = Field(5, strict=True, ge=1, le=20, description="How many models at most.")


class MatchReason(Out):
    """Which words were found where."""

    field: str = Field(description="title, name, service, summary or inputs.")
    words: list[str] = Field(description="Words of the model that fit words of the text.")


class MissingInput(Out):
    """Something the model asks for that is not known yet."""

    name: str
    title: str = ""


class MatchedModel(ModelSummary):
    """A model that may be what is wanted."""

    score: float = Field(ge=0, le=1, description="Share of the text that it speaks of; rare words count more.")
    reasons: list[MatchReason]
    missing: list[MissingInput] = Field(description="Inputs it needs beside those given.")
    eligible: bool = Field(description="Whether the caller may order it, for this user.")
    why_not: str = Field("", description="Which rule says no, and what to do about it.")


class Matches(Out):
    """The models that fit best, the best first; none if no word fits."""

    items: list[MatchedModel]
