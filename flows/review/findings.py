"""What a detector says: a test that was made, and the finding if it holds, with all that a person needs to decide."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, cast

from request_models.json_values import JsonValue, canonical_json


class Operation(StrEnum):
    """What an edit does. The first five change the model's text; the others are for a person to carry out."""

    SET = "set"
    REMOVE = "remove"
    APPEND = "append"
    PARALLEL = "parallel"
    MOVE = "move"
    RETURN = "return"
    SPLIT = "split"
    NONE = "none"

    @property
    def mechanical(self) -> bool:
        """Whether the text can be changed by it."""
        return self in {Operation.SET, Operation.REMOVE, Operation.APPEND, Operation.PARALLEL, Operation.MOVE}


@dataclass(frozen=True)
class Edit:
    """One change of a model: `path` as `request_models.rewriting` has places, and the value it gets."""

    operation: Operation
    path: str = ""
    value: JsonValue = None


class Basis(StrEnum):
    """What a prediction rests on: recorded times alone, a model of them, or what people will do."""

    MECHANICAL = "mechanical"
    MODELLED = "modelled"
    HYPOTHESIS = "hypothesis"


@dataclass(frozen=True)
class Prediction:
    """What the edit will change. A hypothesis has no number: what people will do is not known."""

    measure: str
    unit: str = ""
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    basis: Basis = Basis.MECHANICAL


@dataclass(frozen=True)
class Evidence:
    """What was counted, and the rows of the history that it was counted from: SQL over the documented tables."""

    said: str
    numbers: dict[str, float]
    rows: str
    example: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One improvement that the history speaks for. `owner` is who must agree to it, where somebody must."""

    detector: str
    model: str
    plan_digest: str | None
    summary: str
    edit: Edit
    evidence: Evidence
    prediction: Prediction
    risk: str
    undo: str
    p_value: float
    owner: str | None = None

    @property
    def id(self) -> str:
        """The same finding of the same plan has the same id in every review."""
        about = [self.detector, self.model, self.plan_digest, asdict(self.edit)]
        return hashlib.sha256(canonical_json(cast(JsonValue, about))).hexdigest()[:10]

    def to_json(self) -> dict[str, JsonValue]:
        """All of it."""
        written = {**asdict(self), "id": self.id}
        return cast(
            dict[str, JsonValue],
            {**written, "evidence": {**asdict(self.evidence), "example": [*self.evidence.example]}},
        )


@dataclass(frozen=True)
class Test:
    """One test of the review's family: its p value, whether the gate is passed, and the finding when both hold."""

    p_value: float
    passes: bool
    finding: Callable[[], Finding] = field(repr=False)


def finding_from_json(written: Mapping[str, JsonValue]) -> Finding:
    """A finding as `Finding.to_json` wrote it. Raises KeyError or TypeError for anything else."""
    given: dict[str, Any] = {name: written[name] for name in (one.name for one in fields(Finding))}
    edit, evidence, prediction = dict(given["edit"]), dict(given["evidence"]), dict(given["prediction"])
    given["edit"] = Edit(Operation(edit["operation"]), edit["path"], edit["value"])
    given["evidence"] = Evidence(**{**evidence, "example": tuple(evidence["example"])})
    given["prediction"] = Prediction(**{**prediction, "basis": Basis(prediction["basis"])})
    return Finding(**given)
