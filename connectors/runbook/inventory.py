"""Which hosts and groups the inventory has, as far as its files say so themselves.

Read without Ansible, so that compiling a model starts nothing: inventories in YAML, JSON and INI. What would have to be
asked (scripts, plugins), is encrypted, or is written in a way this does not know, cannot be told.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from connectors.runbook.ansible_yaml import read_yaml
from connectors.runbook.errors import RunbookError

MOST_IN_A_RANGE = 20_000
"""Hosts that one line may stand for; with more it cannot be told."""

_YAML = {".yml", ".yaml", ".json"}
_PASSED_OVER = (
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
)  # fmt: skip
_NOT_INVENTORY = {"group_vars", "host_vars", "vars_plugins"}
_RANGE = re.compile(r"\[(\d+):(\d+)\]")
_SECTION = re.compile(r"\[([^\s:\]]+)(?::(children|vars))?\]\s*(?:#.*)?")


class _CannotTellError(Exception):
    """What is in a source is known only to Ansible, or to others."""


def known_names(sources: Iterable[Path]) -> frozenset[str] | None:
    """The names of all hosts and groups; None when they cannot be told, or when there is no inventory."""
    try:
        files = [file for source in sources for file in _files(source)]
        return frozenset(chain({"all", "ungrouped"}, *(_names(_version(file)) for file in files))) if files else None
    except (_CannotTellError, OSError, UnicodeDecodeError, RecursionError):
        return None


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        yield source
        return
    for entry in sorted(source.iterdir()):
        passed_over = entry.name.startswith(".") or entry.name.endswith(_PASSED_OVER)
        if not passed_over and entry.name not in _NOT_INVENTORY:
            yield from _files(entry)


@dataclass(frozen=True)
class _Version:
    """A file as it is now."""

    file: Path
    changed: int
    size: int


def _version(file: Path) -> _Version:
    state = file.stat()
    if os.access(file, os.X_OK):
        raise _CannotTellError  # a script
    return _Version(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _names(version: _Version) -> frozenset[str]:
    file = version.file
    if file.suffix in _YAML:
        try:
            return frozenset(_in_groups(read_yaml(file, RunbookError)))
        except RunbookError as error:
            raise _CannotTellError from error
    return frozenset(_in_ini(file.read_text(encoding="utf-8").splitlines()))


def _in_groups(groups: Any) -> Iterator[str]:
    if groups is None:
        return
    if not isinstance(groups, Mapping) or "plugin" in groups:
        raise _CannotTellError
    for name, group in groups.items():
        yield str(name)
        if isinstance(group, Mapping):
            for host in group.get("hosts") or {}:
                yield from _expanded(str(host))
            yield from _in_groups(group.get("children"))
        elif group is not None:
            raise _CannotTellError


def _in_ini(lines: Iterable[str]) -> Iterator[str]:
    kind = "hosts"
    for line in (text.strip() for text in lines):
        if not line or line[0] in "#;":
            continue
        section = _SECTION.fullmatch(line)
        if section is not None:
            kind = section[2] or "hosts"
            yield section[1]
        elif line.startswith(("[", "$", "!")):
            raise _CannotTellError
        elif kind == "children":
            yield line.split()[0]
        elif kind == "hosts":
            yield from _expanded(line.split()[0])


def _expanded(host: str) -> Iterator[str]:
    """The hosts that a name with ranges (`web[01:10]`) stands for."""
    found = _RANGE.search(host)
    if found is None:
        if "[" in host or host.count(":") == 1:  # ranges of letters, steps, ports
            raise _CannotTellError
        yield host
        return
    first, last = found[1], found[2]
    if int(last) - int(first) > MOST_IN_A_RANGE:
        raise _CannotTellError
    width = len(first) if first.startswith("0") else 0
    for number in range(int(first), int(last) + 1):
        yield from _expanded(f"{host[: found.start()]}{number:0{width}d}{host[found.end() :]}")
