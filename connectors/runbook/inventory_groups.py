"""The names of groups in inventory files, read without Ansible: for suggestions only, since nothing here is complete.

Inventory plugins and scripts are not asked: they reach out to the network, and run what they like.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from connectors.runbook.ansible_yaml import parse_yaml
from connectors.runbook.errors import RunbookError

MAX_BYTES = 4_194_304
"""A larger file is passed over."""
_SECTION = re.compile(r"^\[(?P<name>[^\]:\s]+)(?::(?:children|vars))?\]", re.MULTILINE)
_NO_GROUPS = {"all", "ungrouped"}


def inventory_groups(inventory: Iterable[Path]) -> frozenset[str]:
    """The groups in the files, and in the files of the folders; what cannot be read has none."""
    return frozenset(name for file in _files(inventory) for name in _groups(file)) - _NO_GROUPS


def _files(inventory: Iterable[Path]) -> Iterator[Path]:
    for path in inventory:
        yield from sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


def _groups(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size > MAX_BYTES:
            return
        text = file.read_text(encoding="utf-8")
        if file.suffix in {".yml", ".yaml"}:
            yield from _groups_of(parse_yaml(file, text, RunbookError))
        elif file.suffix in {"", ".ini"} and not text.startswith("#!"):
            yield from (match["name"] for match in _SECTION.finditer(text))
    except (OSError, UnicodeDecodeError, RunbookError):
        return


def _groups_of(groups: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(groups, dict) or depth > 20 or "plugin" in groups:
        return
    for name, group in groups.items():
        yield str(name)
        if isinstance(group, dict):
            yield from _groups_of(group.get("children"), depth + 1)
