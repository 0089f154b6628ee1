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
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import regress

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

_FEW_WAYS = 10_000
_FEW_ROUNDS = 10
_MAX_UNROLLED = 200
_MAX_STATES = 2_000
_BUDGET = 200_000
_ANY = Characters(r"[^]")
_ALL_CHARACTERS = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))


class Growth(StrEnum):
    """How the worst time grows with the length of the text."""

    POLYNOMIAL = "polynomial"
    EXPONENTIAL = "exponential"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Judgement:
    """The growth; the degree of the polynomial, 1 for a time in proportion to the length; why it was not judged."""

    growth: Growth
    degree: int = 1
    why: str = ""

    def is_bounded(self, length: int | None) -> bool:
        """Whether a match on texts up to a length costs MAX_STEPS at most; None is a text of any length."""
        if self.growth is not Growth.POLYNOMIAL:
            return False
        return self.degree <= 1 or (length is not None and length**self.degree <= MAX_STEPS)


@lru_cache(maxsize=8192)
def judge_pattern(pattern: str) -> Judgement:
    """What a valid ECMA-262 pattern, searched for anywhere in a text, may cost at worst."""
    try:
        tree = parse_pattern(pattern)
        return _Judge().searched(tree)
    except NotJudged as error:
        return Judgement(Growth.NOT_JUDGED, why=str(error))


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
        automaton = _Automaton(tree)
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

    def _is_ambiguous(self, automaton: "_Automaton", loop: frozenset[int]) -> bool:
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

    def _longest_chain(self, automaton: "_Automaton", loops: list[frozenset[int]]) -> int:
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

    def _shares(self, automaton: "_Automaton", source: frozenset[int], loop: frozenset[int]) -> bool:
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
        automaton: "_Automaton",
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


@dataclass(frozen=True)
class _Part:
    """Where a part of a pattern may begin and end, and in how many ways it may be empty (two stands for many).

    What is `free` needs no assertion to hold.
    """

    first: Mapping[int, int]
    last: Mapping[int, int]
    free_last: Mapping[int, int]
    empty: int = 0
    free: int = 0


_NOTHING = _Part({}, {}, {}, 1, 1)


class _Automaton:
    """States, each with the set of characters that leads into it (as bits), and edges with the number of ways."""

    def __init__(self, tree: Node) -> None:
        self._sources: list[str] = []
        self.edges: dict[int, dict[int, int]] = {}
        self.whole = self._built(tree)
        self.sets = _as_bits(self._sources)
        self.back: dict[int, dict[int, int]] = {state: {} for state in self.edges}
        for state, following in self.edges.items():
            for other, ways in following.items():
                self.back[other][state] = ways

    def _built(self, node: Node) -> _Part:
        match node:
            case Characters(source):
                return self._state(source)
            case Edge() | Look():
                return _Part({}, {}, {}, 1, 0)
            case Choice(options):
                return _either([self._built(option) for option in options])
            case Sequence(parts):
                too_many = _ways(node) > _FEW_WAYS
                built = _NOTHING
                for part in parts:
                    endless = too_many and isinstance(part, Repeat) and isinstance(part.body, Characters)
                    built = self._joined(
                        built, self._repeated(part, endless=endless) if isinstance(part, Repeat) else self._built(part)
                    )
                return built
            case Repeat():
                return self._repeated(node, endless=False)

    def _repeated(self, node: Repeat, *, endless: bool) -> _Part:
        if node.most == 0:
            return _NOTHING
        endless = endless and node.most != node.least
        if node.most is None or endless or not _is_unrolled(node):
            return self._endless(node)
        tail = _NOTHING
        for _ in range(node.most - node.least):
            tail = _either([self._joined(self._built(node.body), tail), _NOTHING])
        for _ in range(node.least):
            tail = self._joined(self._built(node.body), tail)
        return tail

    def _endless(self, node: Repeat) -> _Part:
        body = self._built(node.body)
        # Rounds that must be made may be empty, in any of many ways; rounds that need not be made are never empty.
        ways = 2 if body.empty and node.least > 1 else 1
        self._connect(body.last, body.first, ways)
        if node.least:
            return body
        return _Part(body.first, body.last, body.free_last, 1, 1)

    def _state(self, source: str) -> _Part:
        state = len(self._sources)
        if state >= _MAX_STATES:
            raise NotJudged("it is too large")
        self._sources.append(source)
        self.edges[state] = {}
        return _Part({state: 1}, {state: 1}, {state: 1})

    def _joined(self, left: _Part, right: _Part) -> _Part:
        self._connect(left.last, right.first)
        return _Part(
            _sum(left.first, _times(right.first, left.empty)),
            _sum(right.last, _times(left.last, right.empty)),
            _sum(right.free_last, _times(left.free_last, right.free)),
            min(2, left.empty * right.empty),
            min(2, left.free * right.free),
        )

    def _connect(self, last: Mapping[int, int], first: Mapping[int, int], ways: int = 1) -> None:
        for state, here in last.items():
            following = self.edges[state]
            for other, there in first.items():
                following[other] = min(2, following.get(other, 0) + here * there * ways)


def _either(parts: list[_Part]) -> _Part:
    return _Part(
        _sum(*(part.first for part in parts)),
        _sum(*(part.last for part in parts)),
        _sum(*(part.free_last for part in parts)),
        min(2, sum(part.empty for part in parts)),
        min(2, sum(part.free for part in parts)),
    )


def _sum(*counts: Mapping[int, int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for one in counts:
        for state, ways in one.items():
            found[state] = min(2, found.get(state, 0) + ways)
    return found


def _times(counts: Mapping[int, int], factor: int) -> Mapping[int, int]:
    return {state: min(2, ways * factor) for state, ways in counts.items()} if factor else {}


def _together(
    automaton: _Automaton, states: tuple[int, ...], within: tuple[frozenset[int], ...]
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


def _is_loop(automaton: _Automaton, part: frozenset[int]) -> bool:
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
                after_loop = after_loop or _lengths(part)[0] != _lengths(part)[1]
        case Repeat(body):
            yield from _looks(body, after_loop=True)
        case _:
            return


_MANY = 10**9


@lru_cache(maxsize=4096)
def _lengths(node: Node) -> tuple[int, int]:
    """The shortest and the longest text of a part; _MANY stands for no limit."""
    match node:
        case Characters():
            return 1, 1
        case Edge() | Look():
            return 0, 0
        case Sequence(parts):
            found = [_lengths(part) for part in parts]
            return min(_MANY, sum(low for low, _ in found)), min(_MANY, sum(high for _, high in found))
        case Choice(options):
            found = [_lengths(option) for option in options]
            return min(low for low, _ in found), max(high for _, high in found)
        case Repeat(body, least, most):
            low, high = _lengths(body)
            longest = (_MANY if high else 0) if most is None else min(_MANY, high * most)
            return min(_MANY, low * least), longest


def _is_unrolled(node: Repeat) -> bool:
    """Whether a counted repetition is written out: there are few ways, or few rounds whose own loops are looked at."""
    has_loops = _lengths(node.body)[1] == _MANY
    few = node.most is not None and node.most <= _FEW_ROUNDS if has_loops else _ways(node) <= _FEW_WAYS
    return few and _size(node) <= _MAX_UNROLLED


@lru_cache(maxsize=4096)
def _ways(node: Node) -> int:
    """In how many ways a part can take one and the same text, at most; _MANY stands for no limit."""
    match node:
        case Characters() | Edge() | Look():
            return 1
        case Choice(options):
            return min(_MANY, sum(_ways(option) for option in options))
        case Sequence(parts):
            ways, spread = 1, 1  # `spread`: how many lengths what came before may have
            for part in parts:
                ways = min(_MANY, ways * _ways(part) * min(spread, _spread(part)))
                spread += _spread(part) - 1
            return ways
        case Repeat(Characters()):
            return 1
        case Repeat(body, least, most):
            return _MANY if most is None else _ways_of_rounds(body, least, most)


def _ways_of_rounds(body: Node, least: int, most: int) -> int:
    total, rounds = 1 if least == 0 else 0, 1
    for count in range(1, most + 1):
        rounds = rounds * _ways(body) * (min(_spread(body), _MANY) if count > 1 else 1)
        total += rounds if count >= least else 0
        if total > _MANY or rounds > _MANY:
            return _MANY
        if rounds == 1 and count > _FEW_WAYS:
            return most - least + 1
    return total if _spread(body) > 1 or _ways(body) > 1 else 1


def _spread(node: Node) -> int:
    low, high = _lengths(node)
    return high - low + 1


@lru_cache(maxsize=4096)
def _size(node: Node) -> int:
    """How many states a part has when it is unrolled."""
    match node:
        case Characters():
            return 1
        case Edge() | Look():
            return 0
        case Sequence(parts) | Choice(parts):
            return min(_MANY, sum(_size(part) for part in parts))
        case Repeat(body, _, most):
            return min(_MANY, _size(body) * (most or 1))


def _as_bits(sources: list[str]) -> list[int]:
    """Each set as bits: one for each class of characters that all sets take alike."""
    ranges = {source: _ranges(source) for source in set(sources)}
    edges = sorted({edge for found in ranges.values() for one in found for edge in one})
    numbers = {start: number for number, (start, _) in enumerate(pairwise(edges))}
    bits = {
        source: sum(
            1 << number for start, end in found for number in range(numbers[start], numbers.get(end, len(numbers)))
        )
        for source, found in ranges.items()
    }
    return [bits[source] for source in sources]


@lru_cache(maxsize=4096)
def _ranges(source: str) -> tuple[tuple[int, int], ...]:
    """What characters a set holds, as places in the list of all: the engine says it."""
    if len(source) == 1 and source != ".":
        place = ord(source) if ord(source) < 0xD800 else ord(source) - 0x800
        return ((place, place + 1),)
    found = regress.Regex(f"(?:{source})+", "u").find_iter(_ALL_CHARACTERS) or ()
    return tuple((_place(one.range().start), _place(one.range().stop)) for one in found)


def _place(offset: int) -> int:
    """Which of all characters stands at an offset in their UTF-8 text."""
    for count, width in ((0x80, 1), (0x780, 2), (0xF000, 3)):
        if offset < count * width:
            break
        offset -= count * width
    else:
        count, width = 0, 4
    before = {1: 0, 2: 0x80, 3: 0x800, 4: 0xF800}[width]
    return before + offset // width
