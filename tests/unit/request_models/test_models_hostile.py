"""Hostile model files and expressions: each is answered with a diagnostic, in little time and memory."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAD = """\
model: m
title: T
kind: resource
service: s
owners: {accountable: me}
due: {within: PT1H}
"""
STEP = "  - {id: look, uses: cloud.read_box, target: {cloud: {account: a}}, with: {Name: abc}}\n"
STEPS = f"steps:\n{STEP}"

SECONDS = 15
"""Of processor time, start of the interpreter and a busy, slow machine included: without bounds all of these take far
longer, or for ever."""
BYTES = 512 * 1024 * 1024

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("catalogue", sys.argv[1])
catalogue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(catalogue)
from request_models.compiler import compile_model, load_model
from request_models.diagnostics import render_text
source, found = load_model("model.yaml", sys.stdin.buffer.read())
if source is not None:
    compilation = compile_model(source, catalogue.FewActions(), catalogue.SETTINGS)
    found = compilation.diagnostics
    print("plan", compilation.plan and compilation.plan.digest)
print(render_text(found).encode(errors="replace").decode())
"""
CATALOGUE = Path(__file__).with_name("conftest.py")


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def compile_bounded(content: str | bytes) -> str:
    """What is told of a file, by a process that is killed when it takes too much."""
    given = content.encode() if isinstance(content, str) else content
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(CATALOGUE)],
        input=given,
        capture_output=True,
        check=False,
        preexec_fn=bounded,
        cwd=CATALOGUE.parents[3],
        timeout=110,
    )
    assert done.returncode == 0, (done.returncode, done.stderr.decode()[-2000:])
    return done.stdout.decode()


def many(count: int, line: Callable[[int], str]) -> str:
    return "".join(map(line, range(count)))


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{key}: &{key} [{','.join([f'*{before}'] * 9)}]\n" for before, key in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG_STEP = "  - {{id: s, uses: cloud.raed_box, with: {{Name: '{{{{ nope{0} }}}}'}}}}\n"
DOUBLE = "  v{0}: {{a: '{{{{ values.v{1} }}}}', b: '{{{{ values.v{1} }}}}'}}\n"
NUMBERS = ",".join(map(str, range(19_000)))
MAPS = ",".join(f"{{b: {n}}}" for n in range(6_000))
NAMES = ",".join(f"a{n}" for n in range(18_000))
BRANCHES = "{anyOf: [{type: integer}, {type: array, items: " * 12 + "{type: string}" + "}]}" * 12
DEEP = "{type: object, properties: {b: " * 18 + "{type: string}" + "}}" * 18

FILES: dict[str, tuple[str | bytes, str]] = {
    "billion-laughs": (BOMB, "too-large"),
    "ten-megabytes": (f"a: {'x' * 10_000_000}", "too-large"),
    "cyclic-anchor": ("a: &a {b: *a}\n", "yaml-alias"),
    "deep-lists": (f"a: {'[' * 100_000}", "too-deep"),
    "deep-maps": ("{a: " * 100_000, "too-deep"),
    "deep-blocks": ("\n".join(f"{' ' * depth}a:" for depth in range(1400)), "too-deep"),
    "duplicate-keys": (HEAD + "title: T\n" * 9_000 + STEPS, "duplicate-key"),
    "tabs": ("a:\n" + "\t\n" * 300_000 + "\tb: 1\n", "yaml-syntax"),
    "mark-inside": (HEAD + "\ufeff" + STEPS, "yaml-syntax"),
    "utf-16": ((HEAD + STEPS).encode("utf-16"), "not-utf8"),
    "latin-1": (f"{HEAD}summary: é\n{STEPS}".encode("latin-1"), "not-utf8"),
    "nul": (HEAD + 'summary: "\0"\n' + STEPS, "yaml-syntax"),
    "half-character": (HEAD + 'summary: "\\ud800"\n' + STEPS, "yaml-syntax"),
    "huge-key": (f"{HEAD}{'k' * 900_000}: 1\n{STEPS}", "yaml-syntax"),
    "huge-number": (f"{HEAD}target: {'9' * 900_000}\n{STEPS}", "wrong-shape"),
    "many-steps": (HEAD + "steps:\n" + many(40_000, lambda n: f"  - {{id: s{n}, uses: a.b}}\n"), "too-large"),
    "many-wrong-steps": (HEAD + "steps:\n" + many(1_400, WRONG_STEP.format), "unknown-action"),
    "many-inputs": (HEAD + "inputs:\n" + many(40_000, lambda n: f"  i{n}: {{type: string}}\n") + STEPS, "too-large"),
    "many-misspelt-names": (
        HEAD
        + "inputs:\n" + many(2_200, lambda n: f"  input_number_{n}: {{type: string}}\n")
        + "values:\n" + many(2_200, lambda n: f"  v{n}: '{{{{ inputs.inputs_numbr_{n} }}}}'\n")
        + STEPS,
        "unknown-name",
    ),
    "many-unknown-keys": (HEAD + many(9_000, lambda n: f"outputss{n}: 1\n") + STEPS, "unknown-key"),
    "megabyte-expression": (HEAD + "values: {x: '{{ " + "1 + " * 240_000 + "1 }}'}\n" + STEPS, "bad-expression"),
    "megabyte-text": (HEAD + "values: {x: '" + "{{ 1 }}" * 120_000 + "'}\n" + STEPS, "bad-expression"),
    "long-list-expressions": (
        HEAD + "values:\n" + many(90, lambda n: f"  v{n}: '{{{{ [{','.join(map(str, range(2_000)))}] }}}}'\n") + STEPS,
        "unused-value",
    ),
    "many-kinds-in-a-list": (
        HEAD + f"steps:\n  - {{id: look, uses: cloud.read_box, with: {{Name: [{NUMBERS}]}}}}\n",
        "argument-type",
    ),
    "long-unique-default": (
        HEAD + f"inputs: {{a: {{type: array, uniqueItems: true, default: [{MAPS}, {{b: 0}}]}}}}\n" + STEPS,
        "bad-default",
    ),
    "long-enum": (
        HEAD
        + f"inputs: {{a: {{type: string, enum: [{NAMES}]}}}}\n"
        + "values: {b: \"{{ inputs.a == 'x' }}\"}\n"
        + STEPS,
        "wrong-operation",
    ),
    "branches-of-schemas": (HEAD + f"inputs:\n  a: {BRANCHES}\n" + STEPS, "unused-input"),
    "deep-schema": (HEAD + f"inputs:\n  a: {DEEP}\n" + STEPS, "unused-input"),
    "references-in-schemas": (
        HEAD + "inputs:\n  a: {$ref: '#'}\n  b: {$ref: 'http://127.0.0.1:9/x'}\n" + STEPS,
        "input-schema",
    ),
    "numbers-without-end": (
        f"{HEAD}inputs: {{a: {{type: number, multipleOf: 0.1, default: {'9' * 300}}}}}\n{STEPS}",
        "unused-input",
    ),
    "values-in-a-circle": (
        HEAD + "values:\n" + many(3_000, lambda n: f"  v{n}: '{{{{ values.v{(n + 1) % 3_000} }}}}'\n") + STEPS,
        "value-cycle",
    ),
    "values-that-nest": (
        HEAD + "values:\n" + many(2_000, lambda n: f"  v{n}: '{{{{ [values.v{n + 1}] }}}}'\n") + "  v2000: x\n" + STEPS,
        "unused-value",
    ),
    "values-that-double": (
        HEAD + "values:\n" + many(150, lambda n: DOUBLE.format(n, n + 1)) + "  v150: x\n" + STEPS,
        "unused-value",
    ),
    "comments": ("#\n" * 500_000, "empty"),
    "documents": ("---\n" * 200_000, "yaml-documents"),
    "directives": ("%YAML 1.1\n" * 90_000, "yaml-syntax"),
    "folded": ("a: >\n" + " x\n" * 340_000, "missing-key"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gets_its_diagnostic_in_bounded_time_and_memory(name: str) -> None:
    content, code = FILES[name]
    assert f"[{code}]" in compile_bounded(content)
