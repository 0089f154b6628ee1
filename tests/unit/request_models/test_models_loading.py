"""Model files: every mistake at its place, hostile files bounded, one file never hiding another."""

import time
from pathlib import Path

import pytest

from request_models.compiler import load_catalogue, load_file, load_model
from request_models.diagnostics import Severity, render_text
from request_models.yaml_source import read_yaml

SMALL = """\
model: {name}
title: A title
kind: resource
service: s
owners: {{accountable: me}}
due: {{within: PT1H}}
steps:
  - {{id: look, uses: cloud.read_box, with: {{Name: abc}}}}
"""


def codes(content: bytes | str) -> list[tuple[str, int, int]]:
    return [(found.code, found.line, found.column) for found in load_model("m.yaml", content)[1]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", [("empty", 1, 1)]),
        ("# only a comment\n", [("empty", 1, 1)]),
        ("- a\n", [("wrong-shape", 1, 1)]),
        ("a:\n\tb: 1\n", [("yaml-syntax", 2, 1)]),
        (b"a: b\nc: \xe9t\xe9\n", [("not-utf8", 2, 4)]),
        ("a: &a [*a]\n", [("yaml-alias", 1, 8)]),
        ("a: *nothing\n", [("yaml-alias", 1, 4)]),
        ("a: !!python/object/apply:os.system [x]\n", [("yaml-tag", 1, 4)]),
        ("a: !secret x\n", [("yaml-tag", 1, 4)]),
        ("a: .inf\n", [("yaml-number", 1, 4)]),
        ("a: 1e999\n", [("yaml-number", 1, 4)]),
        ("1: a\n", [("yaml-key", 1, 1)]),
        ("? [a]\n: b\n", [("yaml-key", 1, 3)]),
        ("a: 1\n---\nb: 2\n", [("yaml-documents", 2, 1)]),
        ("a: \x00\n", [("yaml-syntax", 1, 1)]),
        ("a: " + "{a: " * 60 + "\n", [("too-deep", 1, 161)]),
        ("a" * 1_048_577, [("too-large", 1, 1)]),
    ],
)
def test_a_file_that_is_no_model_gets_one_diagnostic_at_its_place(
    content: bytes | str, expected: list[tuple[str, int, int]]
) -> None:
    assert codes(content) == expected


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{key}: &{key} [{','.join([f'*{before}'] * 9)}]\n" for before, key in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "content", [BOMB, "[" * 500_000, "a: [" + "x, " * 300_000, "{a: " * 200_000, "a: |\n" + "  x\n" * 200_000]
)
def test_a_hostile_file_is_refused_and_does_not_run_away(content: str) -> None:
    # Processor time, and plenty of it: what is to be caught is growth without bound, not a busy machine.
    started = time.process_time()
    assert load_model("m.yaml", content)[1]
    assert time.process_time() - started < 10


def test_a_file_that_cannot_be_opened_is_told_with_its_name(tmp_path: Path) -> None:
    model, found = load_file(tmp_path / "nowhere.yaml")
    assert model is None
    assert [(one.code, one.file) for one in found] == [("unreadable", str(tmp_path / "nowhere.yaml"))]


def test_plain_values_are_those_of_yaml_1_2() -> None:
    text = "a: on\nb: no\nc: 012\nd: 0o17\ne: 1_000\nf: 2026-01-01\ng: ~\nh: true\ni: '7'\nj: 1.5\nk: !\n"
    value = read_yaml("m.yaml", text.encode()).value
    assert value == {
        "a": "on",
        "b": "no",
        "c": 12,
        "d": 15,
        "e": "1_000",
        "f": "2026-01-01",
        "g": None,
        "h": True,
        "i": "7",
        "j": 1.5,
        "k": "",
    }


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    model, found = load_model("m.yaml", b"\xef\xbb\xbf" + SMALL.format(name="small").replace("\n", "\r\n").encode())
    assert found == ()
    assert model is not None
    assert model.model == "small"


def test_a_mistake_in_one_model_never_hides_another(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(SMALL.format(name="good"))
    (tmp_path / "broken.yaml").write_text("a: [\n")
    (tmp_path / "wrong.yml").write_text("model: wrong\n")
    (tmp_path / "note.txt").write_text("not a model")
    loaded = load_catalogue([tmp_path, tmp_path / "nothing"])
    assert [model.model for model in loaded.models] == ["good"]
    assert {Path(found.file).name for found in loaded.diagnostics} == {"broken.yaml", "wrong.yml"}


def test_the_users_model_stands_in_for_a_shipped_one_of_its_name(tmp_path: Path) -> None:
    for folder in ("mine", "shipped"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.yaml").write_text(SMALL.format(name="same"))
    loaded = load_catalogue([tmp_path / "mine", tmp_path / "shipped"])
    found = loaded.find("same")
    assert found is not None
    assert "mine" in found.file
    assert loaded.diagnostics == ()


def test_two_models_of_one_name_in_a_folder_are_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(SMALL.format(name="same"))
    loaded = load_catalogue([tmp_path])
    assert [found.code for found in loaded.diagnostics] == ["duplicate-model"]


def test_a_diagnostic_shows_its_line_with_a_caret_and_a_hint() -> None:
    _, found = load_model("m.yaml", SMALL.format(name="small").replace("kind:", "knd:"))
    assert render_text(found) == (
        "m.yaml:3:1: error: there is no key `knd` here [unknown-key]\n"
        "    knd: resource\n"
        "    ^^^\n"
        "    hint: is `kind` meant?\n"
    )
    assert found[0].to_json() == {
        "code": "unknown-key",
        "severity": "error",
        "message": "there is no key `knd` here",
        "hint": "is `kind` meant?",
        "file": "m.yaml",
        "line": 3,
        "column": 1,
        "width": 3,
    }
    assert found[0].severity is Severity.ERROR


def test_every_mistake_of_shape_is_told_at_once() -> None:
    text = SMALL.format(name="Not_A_Name").replace("PT1H", "soon").replace("kind: resource", "kind: thing")
    assert [code for code, _, _ in codes(text)] == ["wrong-shape"] * 3
