"""Locks are given in order, all at once, and never so that somebody waits for ever without its being found."""

from hypothesis import given
from hypothesis import strategies as st

from flows.records.lock_order import LockOrder, Standing


def standing(who: str, names: str, turn: int, *, held: bool = False, family: tuple[str, ...] = ()) -> Standing:
    return Standing(who, frozenset(names), (turn, turn), held, family)


def test_whoever_came_first_is_first() -> None:
    order = LockOrder([standing("late", "a", 2), standing("early", "a", 1)])
    assert order.granted("a") == ["early"]
    assert order.before("late")["a"].request_id == "early"


def test_a_request_that_needs_two_locks_is_not_passed_for_the_one_that_is_free() -> None:
    holder, both, single = standing("holder", "b", 1, held=True), standing("both", "ab", 2), standing("single", "a", 3)
    order = LockOrder([holder, both, single])
    assert order.granted("ab") == []
    assert {name: one.request_id for name, one in order.before("both").items()} == {"b": "holder"}
    assert {name: one.request_id for name, one in order.before("single").items()} == {"a": "both"}
    assert LockOrder([both, single]).granted("b") == ["both"]


def test_who_has_nothing_in_common_with_those_who_wait_goes_on() -> None:
    order = LockOrder([standing("holder", "a", 1, held=True), standing("next", "a", 2), standing("other", "c", 3)])
    assert order.granted("ac") == ["other"]


def test_a_child_does_not_wait_for_what_its_parent_holds_nor_for_those_who_wait_for_that() -> None:
    parent, stranger = standing("parent", "a", 1, held=True), standing("stranger", "a", 2)
    child = Standing("child", frozenset("a"), (1, 3), held=False, family=("parent",))
    order = LockOrder([parent, stranger, child])
    assert order.granted("a") == ["child"]
    assert order.before("stranger")["a"].request_id == "parent"


def test_two_children_of_one_parent_that_want_the_same_go_one_after_the_other() -> None:
    parent = standing("parent", "a", 1, held=True)
    children = [Standing(f"child {n}", frozenset("a"), (1, n), held=False, family=("parent",)) for n in (2, 3)]
    order = LockOrder([parent, *children])
    assert order.granted("a") == ["child 2"]
    assert order.before("child 3")["a"].request_id == "child 2"


def test_two_parents_whose_children_want_what_the_other_holds_are_found() -> None:
    one, two = standing("one", "a", 1, held=True), standing("two", "b", 2, held=True)
    first = Standing("first", frozenset("b"), (1, 3), held=False, family=("one",))
    second = Standing("second", frozenset("a"), (2, 4), held=False, family=("two",))
    assert LockOrder([one, two, first]).circle("first") == ()
    order = LockOrder([one, two, first, second])
    assert order.granted("ab") == []
    assert order.circle("second") == ("second", "first")


class Town:
    """Requests that come, order others, end, and are refused where they would wait for ever."""

    def __init__(self) -> None:
        self.live: dict[str, Standing] = {}
        self.count = 0

    def order(self) -> LockOrder:
        return LockOrder(self.live.values())

    def come(self, names: frozenset[str], parent: str | None) -> None:
        self.count += 1
        who = f"r{self.count}"
        family = () if parent is None else (parent, *self.live[parent].family)
        turns = [self.live[one].turn[0] for one in family if one in self.live and self.live[one].held]
        self.live[who] = Standing(who, names, (min(turns, default=self.count), self.count), held=False, family=family)
        self.give(names)
        if not self.live[who].held and self.order().circle(who):
            self.end(who)

    def end(self, who: str) -> None:
        names = self.live.pop(who).names
        self.give(names)

    def give(self, names: frozenset[str]) -> None:
        for who in self.order().granted(names):
            one = self.live[who]
            self.live[who] = Standing(who, one.names, one.turn, held=True, family=one.family)
        self.check()

    def check(self) -> None:
        held = [one for one in self.live.values() if one.held]
        for one in held:
            for other in held:
                if one is not other and one.names & other.names:
                    assert one.request_id in other.family or other.request_id in one.family

    def can_end(self) -> list[str]:
        """Those that run and wait for nobody they ordered."""
        parents = {family for one in self.live.values() for family in one.family}
        return [who for who, one in self.live.items() if one.held and who not in parents]


NAMES = st.frozensets(st.sampled_from("abcd"), min_size=1, max_size=3)


@given(st.lists(st.tuples(NAMES, st.integers(0, 9), st.integers(0, 3)), max_size=30), st.integers(0, 9))
def test_no_two_hold_one_lock_and_all_come_to_their_end(
    moves: list[tuple[frozenset[str], int, int]], last: int
) -> None:
    town = Town()
    for names, which, kind in moves:
        running = [who for who, one in town.live.items() if one.held]
        ready = town.can_end()
        if kind == 0 and ready:
            town.end(ready[which % len(ready)])
        elif kind == 1 and running:
            town.come(names, running[which % len(running)])
        else:
            town.come(names, None)
    while town.live:
        ready = town.can_end()
        assert ready, "those that are left wait for each other for ever"
        town.end(ready[last % len(ready)])
