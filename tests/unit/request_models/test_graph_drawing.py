"""Graphs of plans: what is in them, and that nothing typed becomes Mermaid, HTML or SVG."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from request_models.compiler import Compilation
from request_models.drawing.flow import graph_of
from request_models.drawing.graph import Edge, EdgeKind, Graph, Part, PartKind
from request_models.drawing.mermaid import to_mermaid
from request_models.drawing.svg import to_svg
from request_models.plan import Plan

SVG = "{http://www.w3.org/2000/svg}"
MODEL = """
model: box
title: {de: Eine Kiste, en: A box}
kind: resource
service: boxes
owners: {accountable: anna}
target: {cloud: {account: main}}
inputs:
  project: {type: string, pattern: "^[a-z]{3,20}$"}
  note: {type: string, secret: true}
  size: {type: integer, minimum: 1, maximum: 50, default: 3}
values: {name: "box-{{ inputs.project }}"}
due: {within: PT15M}
steps:
  - id: make
    title: Making the box
    uses: cloud.make_box
    with: {Name: "{{ values.name }}", Size: "{{ inputs.size }}", Password: "{{ inputs.note }}"}
    retry: {attempts: 3, delay: PT2S}
    timeout: PT1M
    undo: {uses: cloud.drop_box, with: {Name: "{{ args.Name }}"}}
  - id: again
    uses: cloud.make_box
    when: inputs.size > 10
    with: {Name: "{{ values.name }}"}
    undo: {covered_by: make}
  - id: account
    uses: host.account
    hosts: servers
    with: {name: "{{ inputs.project }}"}
    undo: {none: "Accounts stay: <always>."}
  - id: tell
    uses: note.send
    with: {to: "{{ user.email }}", text: "Box {{ steps.make.result.Id }}"}
    undo: {none: A note cannot be called back.}
outputs: {box: {value: "{{ steps.make.result.Id }}", title: Your box}}
"""

CompileText = Callable[[str], Compilation]


def plan_of(compile_text: CompileText) -> Plan:
    compilation = compile_text(MODEL)
    assert compilation.plan is not None, [str(found) for found in compilation.diagnostics]
    return compilation.plan


def lines_between(graph: Graph, kind: EdgeKind) -> set[tuple[str, str, str]]:
    return {(edge.start, edge.end, edge.port) for edge in graph.edges if edge.kind is kind}


def test_steps_follow_each_other_in_the_order_they_run(compile_text: CompileText) -> None:
    assert lines_between(graph_of(plan_of(compile_text)), EdgeKind.ORDER) == {
        ("steps.make", "steps.again", ""),
        ("steps.again", "steps.account", ""),
        ("steps.account", "steps.tell", ""),
    }


def test_every_argument_condition_and_output_says_what_it_reads(compile_text: CompileText) -> None:
    assert lines_between(graph_of(plan_of(compile_text)), EdgeKind.DATA) == {
        ("inputs.project", "values.name", ""),
        ("values.name", "steps.make", "Name"),
        ("inputs.size", "steps.make", "Size"),
        ("inputs.note", "steps.make", "Password"),
        ("inputs.size", "steps.again", "when inputs.size > 10"),
        ("values.name", "steps.again", "Name"),
        ("inputs.project", "steps.account", "name"),
        ("user", "steps.tell", "to"),
        ("steps.make", "steps.tell", "text"),
        ("steps.make", "outputs.box", ""),
    }


def test_what_is_covered_is_undone_with_the_step_that_covers_it(compile_text: CompileText) -> None:
    graph = graph_of(plan_of(compile_text))

    assert lines_between(graph, EdgeKind.UNDO) == {
        ("steps.make", "undo.make", ""),
        ("steps.again", "undo.make", ""),
    }
    assert "undone with make" in graph.part("steps.again").lines
    assert "never undone: Accounts stay: <always>." in graph.part("steps.account").lines


def test_parts_tell_titles_attempts_times_hosts_and_secrets(compile_text: CompileText) -> None:
    graph = graph_of(plan_of(compile_text))

    assert graph.title == "A box"
    assert graph.part("steps.make").name == "Making the box"
    assert graph.part("steps.make").lines == ("make: cloud.make_box", "up to 3 attempts of at most 1 min")
    assert "on servers" in graph.part("steps.account").lines
    assert graph.part("inputs.note").lines == ("string, secret",)


def test_a_part_that_nothing_reads_is_drawn_only_if_it_is_asked_for(compile_text: CompileText) -> None:
    plan = plan_of(compile_text)
    lonely = replace(plan, blocks=plan.steps[:1], outputs=())

    ids = {part.id for part in graph_of(lonely).parts}

    assert "inputs.project" in ids
    assert "user" not in ids


def test_mermaid_has_a_line_for_each_edge_and_dashes_for_undo(compile_text: CompileText) -> None:
    text = to_mermaid(graph_of(plan_of(compile_text)))

    assert text.startswith("flowchart TD\n")
    assert text.count("==>") == 3
    assert text.count("-.->") == 2
    assert "when inputs.size #62; 10" in text
    assert "#60;always#62;" in text


def named(text: str) -> Graph:
    parts = (
        Part("inputs.a", PartKind.INPUT, text, (text,)),
        Part("steps.b", PartKind.STEP, text, (text,), (text,)),
        Part("undo.b", PartKind.UNDO, text),
    )
    edges = (
        Edge("inputs.a", "steps.b", EdgeKind.DATA, text),
        Edge("steps.b", "undo.b", EdgeKind.UNDO),
    )
    return Graph(text, text, parts, edges, ("steps.b",))


@given(st.text(max_size=80))
def test_no_text_becomes_mermaid_or_html(text: str) -> None:
    lines = to_mermaid(named(text)).splitlines()

    assert len(lines) == 1 + 3 + 2 + 14  # a head, parts, edges, and a style of each kind and of frames
    for label in (label for line in lines for label in re.findall(r'"(.*?)"', line)):
        assert not set('"`<>[]{}()|;&\\*~') & set(re.sub(r"#\d+;|<br/>", "", label))


@given(st.text(max_size=80))
def test_no_text_becomes_markup_in_the_picture(text: str) -> None:
    drawn = ET.fromstring(to_svg(named(text)))

    assert {element.tag.removeprefix(SVG) for element in drawn.iter()} == {
        "svg", "title", "style", "defs", "marker", "path", "rect", "text", "g",
    }  # fmt: skip
    assert len(drawn.findall(f"{SVG}g")) == 3


def test_a_name_in_another_script_and_an_ampersand_arrive_in_the_picture() -> None:
    texts = ET.fromstring(to_svg(named("存储桶 & Söhne"))).itertext()

    assert "存储桶 & Söhne" in list(texts)


def test_the_picture_needs_nothing_from_elsewhere_and_has_colours_for_dark_screens(compile_text: CompileText) -> None:
    text = to_svg(graph_of(plan_of(compile_text)))

    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<image|href=|@import|@font-face", text)


def test_no_box_lies_over_another_and_all_lie_in_the_picture(compile_text: CompileText) -> None:
    drawn = ET.fromstring(to_svg(graph_of(plan_of(compile_text))))
    places = [
        tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height")) for box in drawn.iter(f"{SVG}rect")
        if "x" in box.attrib
    ]  # fmt: skip

    assert len(places) == 11
    for index, (x, y, width, height) in enumerate(places):
        assert x >= 0
        assert y >= 0
        assert x + width <= float(drawn.attrib["width"])
        assert y + height <= float(drawn.attrib["height"])
        for other_x, other_y, other_width, other_height in places[index + 1 :]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y


def test_a_plan_of_one_step_that_reads_nothing_is_drawn(compile_text: CompileText) -> None:
    plan = plan_of(compile_text)
    alone = replace(plan, inputs={"type": "object"}, input_order=(), values=(), outputs=(), blocks=plan.steps[2:3])

    assert "host.account" in to_svg(graph_of(alone))
