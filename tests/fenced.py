"""The fenced blocks of a page of Markdown, with what a test needs to run them as a reader would."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^ {0,3}```(?P<kind>[a-z]*)[^\n]*\n(?P<text>.*?)^ {0,3}```$", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r"<!-- (?P<note>[^>]*) -->\s*\Z")
_NAMED = re.compile(r"`(?P<name>[\w./-]+\.ya?ml)`[^`]*:\s*\Z")


@dataclass(frozen=True)
class Block:
    """One block. `note` is a comment right before it, `file` the name that the sentence before it gives it."""

    page: Path
    line: int
    kind: str
    text: str
    note: str
    file: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command as typed after `$ `, and the output that is shown below it."""

    typed: str
    shown: tuple[str, ...]


def blocks_of(page: Path) -> list[Block]:
    """All blocks, in order."""
    text = page.read_text(encoding="utf-8")
    return [_block(page, text, found) for found in _FENCE.finditer(text)]


def _block(page: Path, text: str, found: re.Match[str]) -> Block:
    before = text[: found.start()]
    note, named = _NOTE.search(before), _NAMED.search(before)
    return Block(
        page=page,
        line=before.count("\n") + 1,
        kind=found["kind"],
        text=found["text"],
        note="" if note is None else note["note"],
        file="" if named is None else named["name"],
    )


def commands_of(block: Block) -> list[Command]:
    """The commands of a console block."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ "), []))
        elif commands:
            commands[-1][1].append(line)
        else:
            raise AssertionError(f"{block}: output before any command")
    return [Command(typed, tuple(shown)) for typed, shown in commands]


def missing_line(shown: tuple[str, ...], output: str) -> str | None:
    """The first line shown that the output does not have, after those before it; None when it has all.

    `...` stands for anything: alone on its line for lines, within one for a part of it.
    """
    rest = iter(output.splitlines())
    for line in shown:
        if line.strip() in {"", "..."}:
            continue
        wanted = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\s*")
        if not any(wanted.fullmatch(given) for given in rest):
            return line
    return None
