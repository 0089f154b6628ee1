"""Pictures of the whole language: what is nested, gated and looped is in them, and nothing is drawn over anything."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from request_models.drawing.flow import graph_of
from request_models.drawing.graph import Edge, EdgeKind, Frame, Graph, Item
from request_models.drawing.mermaid import to_mermaid
from request_models.drawing.svg import to_svg
from request_models.plan import Block, Expression, Group, Loop, MapOf, Parallel, Plan, Step, plan_from_json

SVG = "{http://www.w3.org/2000/svg}"
GOLDEN = Path(__file__).parents[2] / "golden" / "every-key" / "plan.json"
PLAN = plan_from_json(json.loads(GOLDEN.read_text(encoding="utf-8")))
GRAPH = graph_of(PLAN)


def nested(items: tuple[Item, ...]) -> list[object]:
    """A flow as lists: a frame is its part with its columns."""
    return [
        item if isinstance(item, str) else {item.part: [nested(column.items) for column in item.columns]}
        for item in items
    ]


def lines(graph: Graph, kind: EdgeKind) -> set[tuple[str, str, str]]:
    return {(edge.start, edge.end, edge.port) for edge in graph.edges if edge.kind is kind}


def test_what_happens_is_in_order_and_nested_as_in_the_model() -> None:
    assert nested(GRAPH.flow) == [
        "triggers.1", "eligible", "facts.budget", "facts.not_too_big", "starts", "approvals.large", "steps.create",
        {"blocks.1": [["steps.second"], ["steps.account"]]},
        "steps.ready",
        {"steps.join": [["steps.add"]]},
        {"steps.big": [["steps.until_then"], ["steps.small"]]},
        "steps.by_hand", "verify.1", "lease",
        "outputs.box", "outputs.key", "outputs.added", "notify.1", "feedback",
    ]  # fmt: skip


def test_branches_part_and_meet_and_a_condition_decides_between_two_ways() -> None:
    order = lines(GRAPH, EdgeKind.ORDER)

    assert {
        ("steps.create", "blocks.1 fork", ""),
        ("blocks.1 fork", "steps.second", ""),
        ("blocks.1 fork", "steps.account", ""),
        ("steps.second", "blocks.1 join", ""),
        ("steps.account", "blocks.1 join", ""),
        ("blocks.1 join", "steps.ready", ""),
        ("steps.ready", "steps.add", ""),
        ("steps.add", "steps.big choice", ""),
        ("steps.big choice", "steps.until_then", "then"),
        ("steps.big choice", "steps.small", "else"),
        ("steps.small", "steps.big join", ""),
    } <= order
    assert not [edge for edge in order if edge[0].startswith(("outputs.", "notify."))]


def test_facts_items_of_loops_and_conditions_of_groups_are_data_too() -> None:
    data = lines(GRAPH, EdgeKind.DATA)

    assert {
        ("inputs.project", "facts.budget", "Name"),
        ("facts.budget", "facts.not_too_big", "expect inputs.size < 100 or facts.budget.Id != ''"),
        ("facts.budget", "verify.1", "expect result.Id == facts.budget.Id"),
        ("inputs.size", "approvals.large", "when inputs.size > 36"),
        ("inputs.reason", "approvals.large", "message"),
        ("requester", "eligible", "requester: 'engineering' in requester.groups"),
        ("request", "starts", "not before request.submitted + duration('PT1M')"),
        ("values.box", "starts", "lock box:{{ values.box }}"),
        ("inputs.members", "steps.join", "for each inputs.members"),
        ("inputs.size", "steps.big choice", "when inputs.size > 50"),
        ("steps.join", "steps.by_hand", "instructions"),
        ("steps.join", "steps.by_hand", "when steps.join.state == 'failed'"),
        ("steps.by_hand", "outputs.added", ""),
        ("values.box", "lease", "box"),
    } <= data


@pytest.mark.parametrize(
    ("part", "name", "lines"),
    [
        ("triggers.1", "Event of alertmanager",
         ("orders it as box-monitor", "when event.labels.alertname == 'BoxFull'")),
        ("approvals.large", "Approval large",
         ("1 of manager:user, group:box-approvers", "within 2 d, else reject", "reminded after 1 d",
          "then group:box-owners")),
        ("starts", "Start", ("in the hours of maintenance", "a failure takes back everything, then holds the request")),
        ("steps.create", "Making the box",
         ("create: cloud.make_box", "up to 4 attempts of at most 1 min",
          "by cloudy (enterprise-support), within 10 min")),
        ("steps.ready", "ready", ("cloud.read_box", "looks every 5 s, at most 2 min", "looks on after NoSuchBox")),
        ("steps.join", "Loop join", ("a failure does not stop the request", "4 at once, by item")),
        ("steps.until_then", "until_then", ("wait.until", "waits until inputs.ends")),
        ("steps.by_hand", "by_hand",
         ("human.task", "a task for the team boxes", "within 1 d",
          "never undone: What a person did, a person undoes.")),
        ("inputs.ends", "ends", ("string", "asked when inputs.size > 50")),
        ("inputs.network", "network", ("string", "chosen from cloud.read_box")),
        ("lease", "Lease of 90 d", ("then every-key-retire is ordered",)),
        ("outputs.key", "key", ("secret, read once, for user",)),
        ("notify.1", "Tell requester, user, chat:ops", ("when fulfilled, on_hold, failed",)),
        ("feedback", "Feedback", ("Was the form clear?",)),
        ("undo.create", "Undo create", ("cloud.drop_box", "up to 3 attempts")),
    ],
)  # fmt: skip
def test_a_box_says_it_in_short_lines(part: str, name: str, lines: tuple[str, ...]) -> None:
    assert (GRAPH.part(part).name, GRAPH.part(part).lines) == (name, lines)


def test_an_approval_without_before_stands_before_the_start_and_one_with_it_at_its_step() -> None:
    early = replace(PLAN.approvals[0], id="early", before=None)
    inside = replace(PLAN.approvals[0], id="inside", before="account")

    flow = nested(graph_of(replace(PLAN, approvals=(early, inside))).flow)

    assert flow.index("approvals.early") == flow.index("starts") - 1
    assert {"blocks.1": [["steps.second"], ["approvals.inside", "steps.account"]]} in flow


def test_in_mermaid_groups_and_branches_are_subgraphs_that_are_closed() -> None:
    text = to_mermaid(GRAPH)

    assert len(re.findall(r"^ *subgraph framegroup\d+\[", text, re.MULTILINE)) == 3
    assert len(re.findall(r"^ *end$", text, re.MULTILINE)) == 3
    assert '|"then"|' in text
    ids = re.findall(r"^ *(?:subgraph )?([a-z]+)\d+[\[({]", text, re.MULTILINE)
    assert not {"end", "graph", "style", "class", "click", "default"} & set(ids)


def test_in_mermaid_what_a_loop_says_is_a_box_before_its_first_step() -> None:
    text = to_mermaid(GRAPH)

    (head,) = re.findall(
        r'(group\d+)\["a failure does not stop the request<br/>4 at once, by item<br/>for each inputs\.members"\]', text
    )
    (add,) = re.findall(r'(step\d+)\["add<br/>', text)
    (ready,) = re.findall(r'(step\d+)\["ready<br/>', text)
    assert f"{ready} ==> {head}\n" in text
    assert f"{head} ==> {add}\n" in text
    assert f"{ready} ==> {add}\n" not in text


# --- nothing over anything ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rectangle:
    kind: str
    x: float
    y: float
    right: float
    bottom: float

    def apart(self, other: "Rectangle") -> bool:
        return (
            self.right <= other.x or other.right <= self.x or self.bottom <= other.y or other.bottom <= self.y
        )  # fmt: skip

    def holds(self, other: "Rectangle") -> bool:
        return self.x < other.x and other.right < self.right and self.y < other.y and other.bottom < self.bottom


def rectangles(drawn: ET.Element) -> list[Rectangle]:
    found = []
    for part in drawn.findall(f"{SVG}g"):
        box = part.find(f"{SVG}rect")
        assert box is not None
        x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        found.append(Rectangle(part.attrib["class"].removeprefix("part "), x, y, x + width, y + height))
    return found


def straight_lines(drawn: ET.Element) -> Iterator[Rectangle]:
    """The level and upright pieces of every line, as thin rectangles."""
    for path in drawn.findall(f"{SVG}path"):
        x = y = 0.0
        for command, numbers in re.findall(r"([MHVC])([-\d., ]+)", path.attrib["d"]):
            values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
            before = (x, y)
            x = values[0] if command == "H" else values[-2] if command in "MC" else x
            y = values[0] if command == "V" else values[-1] if command in "MC" else y
            if command in "HV":
                (x0, x1), (y0, y1) = sorted((before[0], x)), sorted((before[1], y))
                yield Rectangle(path.attrib["class"], x0, y0, x1, y1)


def crosses(line: Rectangle, box: Rectangle) -> bool:
    return line.x < box.right - 1 and line.right > box.x + 1 and line.y < box.bottom - 1 and line.bottom > box.y + 1


def check_drawing(graph: Graph) -> None:
    drawn = ET.fromstring(to_svg(graph))
    boxes = rectangles(drawn)
    assert len(boxes) == len(graph.parts)
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.right <= float(drawn.attrib["width"])
        assert box.bottom <= float(drawn.attrib["height"])
    for one, other in combinations(boxes, 2):
        in_frame = (one.kind == "group" and one.holds(other)) or (other.kind == "group" and other.holds(one))
        assert one.apart(other) or in_frame, (one, other)
    solid = [box for box in boxes if box.kind not in {"group", "bar"}]
    for line in straight_lines(drawn):
        for box in solid:
            assert not crosses(line, box), (line, box)


def test_in_the_picture_of_every_key_nothing_is_drawn_over_anything() -> None:
    check_drawing(GRAPH)


STEPS = list(PLAN.steps)
READS = ["inputs.size", "values.box", "requester.id", "facts.budget.Id", "steps.join.items"]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans of any nesting, whose steps read inputs, values, facts and earlier steps, with long and foreign names."""
    made: list[str] = []

    def step() -> Step:
        path = f"s{len(made)}"
        read = draw(st.lists(st.sampled_from([*READS, *(f"steps.{one}.result" for one in made)]), max_size=3))
        arguments = MapOf({f"a{n}": Expression(one, (one,)) for n, one in enumerate(read)})
        title = draw(
            st.sampled_from([path, "A name that is so long that it needs two rows of text, or three", "存储桶" * 12])
        )
        template = draw(st.sampled_from(STEPS))
        made.append(path)
        return replace(template, path=path, title={"en": title}, arguments=arguments, when=None)

    def block(depth: int) -> Block:
        kind = draw(st.sampled_from(["step", "step", "group", "loop", "else", "parallel"])) if depth < 4 else "step"
        if kind == "step":
            return step()
        inner = [block(depth + 1) for _ in range(draw(st.integers(1, 3)))]
        if kind == "parallel":
            return Parallel(tuple(inner), when=Expression("inputs.size > 3", ("inputs.size",)))
        loop = Loop(Expression("inputs.members", ("inputs.members",))) if kind == "loop" else None
        other = tuple(block(depth + 1) for _ in range(draw(st.integers(0, 2)))) if kind == "else" else ()
        return Group(tuple(inner), when=Expression("inputs.size > 5", ("inputs.size",)), alternative=other, loop=loop)

    return replace(PLAN, blocks=tuple(block(0) for _ in range(draw(st.integers(1, 4)))))


@settings(max_examples=40)
@given(plans())
def test_however_it_is_nested_nothing_is_drawn_over_anything(plan: Plan) -> None:
    graph = graph_of(plan)

    check_drawing(graph)
    text = to_mermaid(graph)
    assert len(re.findall(r"^ *subgraph ", text, re.MULTILINE)) == len(re.findall(r"^ *end$", text, re.MULTILINE))


def test_a_plan_without_any_step_or_input_is_drawn() -> None:
    empty = Plan(
        PLAN.model, PLAN.title, PLAN.kind, PLAN.service, {}, PLAN.owners, {"type": "object"}, PLAN.due, blocks=()
    )

    check_drawing(graph_of(empty))
    assert isinstance(graph_of(empty).flow, tuple)


def test_frames_and_edges_name_parts_that_are_there() -> None:
    known = {part.id for part in GRAPH.parts}

    assert {end for edge in GRAPH.edges for end in (edge.start, edge.end)} <= known
    assert all(isinstance(edge, Edge) for edge in GRAPH.edges)
    assert {item.part for item in GRAPH.flow if isinstance(item, Frame)} <= known
