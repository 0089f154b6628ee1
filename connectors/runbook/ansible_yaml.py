"""Reading Ansible's YAML: YAML 1.1 as Ansible reads it, with its tags taken for the plain values they mark.

What came from a file knows its lines: maps are `Placed`. Texts that Ansible would not render are `Verbatim`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from connectors.runbook.errors import RunbookError

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:  # libyaml is ten times faster, and may be missing where PyYAML was built by hand
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Placed(dict[Any, Any]):
    """A map that knows the lines, from 1, on which it and its keys stand; `line` is 0 where it came from no file."""

    line: int = 0
    key_lines: Mapping[Any, int] = {}


class Verbatim(str):
    """A text marked `!unsafe` or `!vault`: braces in it mean nothing to Ansible."""

    __slots__ = ()


def line_of(value: object, key: object = None) -> int:
    """The line, from 1, of a map or of one of its keys; 0 when it is not known."""
    if not isinstance(value, Placed):
        return 0
    return value.key_lines.get(key, value.line)


class _AnsibleLoader(_Loader):
    """Knows `!unsafe` and `!vault`; builds plain values only."""


def _marked(loader: _AnsibleLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return Verbatim(node.value)


def _placed(loader: _AnsibleLoader, node: yaml.MappingNode) -> Iterator[Placed]:
    placed = Placed()
    placed.line = node.start_mark.line + 1
    yield placed  # before it is filled, so that it may hold itself
    placed.update(loader.construct_mapping(node))
    placed.key_lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}


for _tag in ("!unsafe", "!vault", "!vault-encrypted"):
    _AnsibleLoader.add_constructor(_tag, _marked)
_AnsibleLoader.add_constructor("tag:yaml.org,2002:map", _placed)


def read_yaml(file: Path, raised: type[RunbookError]) -> Any:
    """The document in `file`, None when it is empty. Raises `raised` when it cannot be read.

    The same text gives the same document, which nobody may change.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise raised(file, f"cannot be read: {error}") from error
    return parse_yaml(file, text, raised)


def parse_yaml(file: Path, text: str, raised: type[RunbookError]) -> Any:
    """The document in a text that came from `file`. Raises `raised` when it is none."""
    try:
        return _document(text)
    except yaml.YAMLError as error:
        raise raised(file, f"is no YAML: {' '.join(str(error).split())}") from error


@lru_cache(maxsize=2048)
def _document(text: str) -> Any:
    return yaml.load(text, Loader=_AnsibleLoader)  # noqa: S506 - a SafeLoader, with two tags more
