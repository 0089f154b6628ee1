"""One review: every model looked at by every detector, all their tests taken as one family."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flows.errors import OrderlyError
from flows.review.detectors import detectors
from flows.review.findings import Finding, Test
from flows.review.gates import Gates
from flows.review.statistics.families import discoveries, spent
from flows.review.subject import Subject
from flows.review.warehouse import Doubt, Warehouse

_MOMENTS = (
    ("requests", ("submitted", "started", "ended", "closed_at")),
    ("steps", ("queued", "started", "ended")),
    ("touches", ("started", "ended")),
    ("approvals", ("asked", "decided")),
)


class UnknownReviewModel(OrderlyError):
    """A model that the history knows nothing of."""

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(f"The history holds no request of {model!r}. It holds: {', '.join(known) or 'none'}.")


@dataclass(frozen=True)
class Review:
    """What came of a review. `tests` were made; `silent` says of which models nothing could be told, and why."""

    findings: tuple[Finding, ...]
    tests: int
    requests: Mapping[str, int]
    silent: Mapping[str, str]
    doubts: tuple[Doubt, ...]
    number: int
    rate: float


EXPLAINED_BY = {"due_wrong": "worse_since_version"}
"""A finding that another one of the same model explains: with the cause mended it would not be there."""

Progress = Callable[[str], None]


def review(
    history: Warehouse, gates: Gates, models: Iterable[str] = (), *, number: int = 1, progress: Progress | None = None
) -> Review:
    """Look through a history. `number` counts the reviews of it, for each may spend less than the one before.

    Raises UnknownReviewModel.
    """
    until = last_moment(history)
    known: dict[str, int] = dict(
        history.rows("SELECT model, count(*) FROM requests WHERE model IS NOT NULL GROUP BY 1 ORDER BY 1")
    )
    wanted = list(models) or list(known)
    for model in wanted:
        if model not in known:
            raise UnknownReviewModel(model, known)
    tests: list[tuple[float, Finding | None]] = []
    silent: dict[str, str] = {}
    for model in wanted:
        if progress is not None:
            progress(model)
        subject = Subject.of(history, model, until)
        # A finding reads its evidence from the subject's tables, which are gone when the next model has its turn.
        made = [(test.p_value, test.finding() if test.passes else None) for test in _look(subject, gates)]
        tests += made
        if not made:
            silent[model] = _why_silent(subject)
    rate = gates.family.false_discovery_rate
    if gates.family.spent_across_reviews:
        rate = spent(rate, number)
    discovered = discoveries([p_value for p_value, _ in tests], rate)
    findings = [made for (_, made), found in zip(tests, discovered, strict=True) if found and made is not None]
    names = {(one.model, one.detector) for one in findings}
    findings = [one for one in findings if (one.model, EXPLAINED_BY.get(one.detector)) not in names]
    ordered = sorted(findings, key=lambda one: (one.model, one.p_value, one.id))
    counts = {model: known[model] for model in wanted}
    return Review(tuple(ordered), len(tests), counts, silent, history.doubts, number, rate)


def last_moment(history: Warehouse) -> int:
    """The last moment that a history tells of; 0 for one that tells of none."""
    columns = [f"(SELECT max({name}) FROM {table})" for table, names in _MOMENTS for name in names]
    (latest,) = history.one(f"SELECT greatest({', '.join(f'coalesce({one}, 0)' for one in columns)})")
    return int(latest)


def _look(subject: Subject, gates: Gates) -> list[Test]:
    return [test for name, detector in detectors().items() for test in detector(subject, gates.detectors[name])]


def _why_silent(subject: Subject) -> str:
    if subject.plan is None:
        return "its plan is not in the history, and what can be said without is too little to test"
    return f"{subject.current} requests of its current version are too few to tell anything"
