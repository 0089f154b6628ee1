"""Which ways of a model its examples went."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from flows.examples.course import Course, StepCourse
from request_models.branches import Branch, Way

_EXPECTATION, _POLL_FAILED = "expectation", "poll-failed"
"""Codes of the engine's own errors: an answer was not as expected; polling was ended by `fails`."""


@dataclass(frozen=True)
class Coverage:
    """Steps that were done and branches that were taken, out of all; what is `missing` is told by its place."""

    steps: int
    all_steps: int
    branches: int
    all_branches: int
    missing: tuple[Branch, ...]

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def coverage_of(branches: Sequence[Branch], courses: Iterable[Course]) -> Coverage:
    """What some courses went of all the branches there are."""
    made = list(courses)
    missing = tuple(one for one in branches if not any(_taken(one, course) for course in made))
    steps = [one for one in branches if one.way is Way.DONE]
    undone = sum(one.way is Way.DONE for one in missing)
    others = len(branches) - len(steps)
    return Coverage(len(steps) - undone, len(steps), others - (len(missing) - undone), others, missing)


def _taken(branch: Branch, course: Course) -> bool:
    match branch.way:
        case Way.HOLDS | Way.HOLDS_NOT:
            return (branch.way is Way.HOLDS) in _conditions(branch, course)
        case Way.NO_ITEM | Way.ONE_ITEM | Way.MANY_ITEMS:
            return branch.way in {_way_of(count) for count in _items(branch, course)}
        case Way.NOT_ELIGIBLE:
            return course.not_eligible == branch.place
        case Way.GIVEN | Way.NOT_GIVEN:
            return course.inputs is not None and (branch.place in course.inputs) is (branch.way is Way.GIVEN)
        case Way.ASKED:
            return branch.place in course.approvals
        case Way.NOT_ASKED:
            return bool(course.steps) and branch.place not in course.approvals
        case _:
            return any(_SEEN[branch.way](step) for step in course.steps if step.path in branch.steps)


_SEEN: Mapping[Way, Callable[[StepCourse], bool]] = {
    Way.DONE: lambda step: step.state == "done",
    Way.REFUSED: lambda step: _EXPECTATION in step.codes,
    Way.FAILS: lambda step: _POLL_FAILED in step.codes,
    Way.FAILED: lambda step: step.failed,
}
"""What is to be seen of a step."""


def _way_of(items: int) -> Way:
    return Way.NO_ITEM if items == 0 else Way.ONE_ITEM if items == 1 else Way.MANY_ITEMS


def _conditions(branch: Branch, course: Course) -> set[bool | None]:
    """What the condition of a block gave: on the step itself, or on its place in the plan."""
    blocks = (block.when for block in course.blocks if block.place == branch.place)
    steps = (step.when for step in course.steps if branch.own and step.path in branch.steps)
    return set(chain(blocks, steps))


def _items(branch: Branch, course: Course) -> list[int]:
    return [block.items for block in course.blocks if block.place == f"{branch.place}/items"]
