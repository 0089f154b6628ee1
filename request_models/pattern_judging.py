"""How long a backtracking engine may look for a pattern: whether it can run away on a text made for that.

The pattern becomes an automaton whose states are the characters of the pattern (Glushkov's construction), each edge
counted as often as there are ways over it. Where one text leads from a state back to it in two ways, a failing match
tries 2^n ways: exponential. Where one text leads from a loop to itself, on to a later loop, and in that loop to itself,
n characters can be shared out between the two in n ways: each such loop more raises the degree of a polynomial. (These
are the criteria of Weber and Seidl, and of Allauzen, Mohri and Rastogi, for the ambiguity of automata.) States after
which the whole match can no longer fail are never gone back to, and are left out.

The judgement errs to the safe side. Assertions and looks ahead and behind count as passed, and the latter are judged
by themselves; a back reference counts as its group; repetitions up to a number are unrolled while that tells of few
ways, and count as endless otherwise.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from request_models.pattern_automaton import Automaton, lengths
from request_models.pattern_syntax import (
    EMPTY,
    Characters,
    Choice,
    Edge,
    Look,
    Node,
    NotJudged,
    Repeat,
    Sequence,
    parse_pattern,
)

MAX_STEPS = 50_000_000
"""What one match may cost at worst, in characters looked at: a quarter of a second."""

_BUDGET = 200_000
_ANY = Characters(r"[^]")


class Growth(StrEnum):
    """How the worst time grows with the length of the text."""

    POLYNOMIAL = "polynomial"
    EXPONENTIAL = "exponential"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Judgement:
    """The growth; the degree of the polynomial, 1 for a time in proportion to the length; why it was not judged.

    `ends`: whether a match is sure to end at all. The engine (regress) goes on for ever, and takes all the memory there
    is, in some loops over what may be empty, on texts of one character too.
    """

    growth: Growth
    degree: int = 1
    why: str = ""
    ends: bool = True

    def is_bounded(self, length: int | None) -> bool:
        """Whether a match on texts up to a length costs MAX_STEPS at most; None is a text of any length."""
        if self.growth is not Growth.POLYNOMIAL or not self.ends:
            return False
        return self.degree <= 1 or (length is not None and length**self.degree <= MAX_STEPS)


@lru_cache(maxsize=8192)
def judge_pattern(pattern: str) -> Judgement:
    """What a valid ECMA-262 pattern, searched for anywhere in a text, may cost at worst."""
    try:
        found = _Judge().searched(parse_pattern(pattern))
    except NotJudged as error:
        found = Judgement(Growth.NOT_JUDGED, why=str(error))
    return replace(found, ends=surely_ends(pattern))


@lru_cache(maxsize=8192)
def surely_ends(pattern: str) -> bool:
    """Whether a match of a valid ECMA-262 pattern is sure to end at all (`Judgement.ends`); much sooner said."""
    try:
        return not _loops_over_the_empty(parse_pattern(pattern))
    except NotJudged:
        return False


class _Exponential(Exception):
    """A part of the pattern has exponentially many ways."""


class _Judge:
    def __init__(self) -> None:
        self._budget = _BUDGET

    def searched(self, tree: Node) -> Judgement:
        anchored = _is_anchored(tree)
        try:
            degree = self._degree(tree if anchored else Sequence((Repeat(_ANY, 0, None), tree)))
            # A look that stands before every loop is made once; others are made anew wherever they are come to.
            for look, is_after_loop in _looks(tree, after_loop=not anchored):
                inner = self._degree(look.body, may_end_free=not look.behind)
                degree = degree + inner if is_after_loop else max(degree, inner)
        except _Exponential:
            return Judgement(Growth.EXPONENTIAL)
        return Judgement(Growth.POLYNOMIAL, max(1, degree))

    def _degree(self, tree: Node, *, may_end_free: bool = True) -> int:
        automaton = Automaton(tree)
        free = automaton.whole.free_last if may_end_free else {}
        failing = set(range(len(automaton.sets))) - free.keys()
        loops = [part for part in _components(automaton.edges, failing) if _is_loop(automaton, part)]
        for loop in loops:
            if self._is_ambiguous(automaton, loop):
                raise _Exponential
        return self._longest_chain(automaton, loops)

    def _spend(self) -> bool:
        self._budget -= 1
        return self._budget >= 0

    def _is_ambiguous(self, automaton: "Automaton", loop: frozenset[int]) -> bool:
        """Whether one text leads from a state of the loop back to it in two ways."""
        if any(ways > 1 for state in loop for other, ways in automaton.edges[state].items() if other in loop):
            return True
        pairs: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        waiting: list[tuple[int, ...]] = [(state, state) for state in loop]
        while waiting:
            pair = waiting.pop()
            if pair in pairs:
                continue
            pairs[pair] = {}
            for next_pair in _together(automaton, pair, (loop, loop)):
                if not self._spend():
                    raise NotJudged("it is too large")
                pairs[pair][next_pair] = 1
                waiting.append(next_pair)
        return any(len({left == right for left, right in part}) == 2 for part in _components(pairs, pairs.keys()))

    def _longest_chain(self, automaton: "Automaton", loops: list[frozenset[int]]) -> int:
        everything = range(len(automaton.sets))
        sources = [part for part in _components(automaton.edges, everything) if _is_loop(automaton, part)]
        depths: dict[frozenset[int], int] = {}

        def depth(loop: frozenset[int]) -> int:
            if loop not in depths:
                depths[loop] = 1
                before = [source for source in sources if source != loop and self._shares(automaton, source, loop)]
                depths[loop] = 1 + max((reached(source, loop) for source in before), default=0)
            return depths[loop]

        def reached(source: frozenset[int], loop: frozenset[int]) -> int:
            inside = [inner for inner in loops if inner <= source and not loop <= source]
            return max((depth(inner) for inner in inside), default=1)

        return max((depth(loop) for loop in loops), default=0)

    def _shares(self, automaton: "Automaton", source: frozenset[int], loop: frozenset[int]) -> bool:
        """Whether one text leads from the source to itself, to the loop, and in the loop to itself."""
        between = _reachable(automaton.edges, source) & _reachable(automaton.back, loop)
        if not between & loop:
            return False
        return any(
            self._is_path(automaton, (start, start, end), (start, end, end), (source, between, loop))
            for start in source - loop
            for end in loop
        )

    def _is_path(
        self,
        automaton: "Automaton",
        start: tuple[int, ...],
        end: tuple[int, ...],
        within: tuple[frozenset[int], ...],
    ) -> bool:
        seen, waiting = {start}, deque([start])
        while waiting:
            for following in _together(automaton, waiting.popleft(), within):
                if following == end or not self._spend():
                    return True  # what is too large to be searched counts as found
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return False


def _together(
    automaton: Automaton, states: tuple[int, ...], within: tuple[frozenset[int], ...]
) -> Iterator[tuple[int, ...]]:
    """Where several walks lead that read the same next character."""

    def walk(index: int, chosen: tuple[int, ...], shared: int) -> Iterator[tuple[int, ...]]:
        if index == len(states):
            yield chosen
            return
        for following in automaton.edges[states[index]]:
            if following in within[index] and (both := shared & automaton.sets[following]):
                yield from walk(index + 1, (*chosen, following), both)

    return walk(0, (), -1)


def _is_loop(automaton: Automaton, part: frozenset[int]) -> bool:
    return len(part) > 1 or any(state in automaton.edges[state] for state in part)


def _reachable(edges: Mapping[int, Mapping[int, int]], start: Iterable[int]) -> frozenset[int]:
    seen, waiting = set(start), list(start)
    while waiting:
        for following in edges[waiting.pop()]:
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return frozenset(seen)


_State = TypeVar("_State")


def _components(edges: Mapping[_State, Mapping[_State, int]], within: Iterable[_State]) -> list[frozenset[_State]]:
    """The strongly connected parts of a graph (Kosaraju's way: twice through, the second time backwards)."""
    inside = set(within)
    order: list[_State] = []
    seen: set[_State] = set()
    for root in inside:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(edges[root]))]
        while stack:
            state, following = stack[-1]
            unseen = next((other for other in following if other in inside and other not in seen), None)
            if unseen is None:
                order.append(stack.pop()[0])
            else:
                seen.add(unseen)
                stack.append((unseen, iter(edges[unseen])))
    back: dict[_State, list[_State]] = {state: [] for state in inside}
    for state in inside:
        for other in edges[state]:
            if other in inside:
                back[other].append(state)
    parts: list[frozenset[_State]] = []
    done: set[_State] = set()
    for root in reversed(order):
        if root in done:
            continue
        part, waiting = {root}, [root]
        done.add(root)
        while waiting:
            fresh = [other for other in back[waiting.pop()] if other not in done]
            done.update(fresh)
            part.update(fresh)
            waiting += fresh
        parts.append(frozenset(part))
    return parts


def _loops_over_the_empty(node: Node) -> bool:
    match node:
        case Repeat(body, _, most):
            more_than_once = most is None or most > 1
            return (more_than_once and lengths(body)[0] == 0) or _loops_over_the_empty(body)
        case Sequence(parts) | Choice(parts):
            return any(map(_loops_over_the_empty, parts))
        case Look(body):
            return _loops_over_the_empty(body)
        case Characters() | Edge():
            return False


def _is_anchored(node: Node) -> bool:
    match node:
        case Edge("^"):
            return True
        case Choice(options):
            return all(_is_anchored(option) for option in options)
        case Sequence(parts):
            takes_some = next((part for part in parts if not isinstance(part, Look)), EMPTY)
            return takes_some != node and _is_anchored(takes_some)
        case _:
            return False


def _looks(node: Node, *, after_loop: bool) -> Iterator[tuple[Look, bool]]:
    """The looks ahead and behind, and whether a loop comes before or around each."""
    match node:
        case Look(body):
            yield node, after_loop
            yield from _looks(body, after_loop=True)
        case Choice(options):
            for option in options:
                yield from _looks(option, after_loop=after_loop)
        case Sequence(parts):
            for part in parts:
                yield from _looks(part, after_loop=after_loop)
                after_loop = after_loop or lengths(part)[0] != lengths(part)[1]
        case Repeat(body):
            yield from _looks(body, after_loop=True)
        case _:
            return
