"""Reading Ansible's YAML: YAML 1.1 as Ansible reads it, with its tags taken for the plain values they mark."""

from pathlib import Path
from typing import Any

import yaml

from connectors.runbook.errors import RunbookError


class _AnsibleLoader(yaml.SafeLoader):
    """Knows `!unsafe` and `!vault`; builds plain values only."""


def _plain(loader: _AnsibleLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return str(node.value)


for _tag in ("!unsafe", "!vault", "!vault-encrypted"):
    _AnsibleLoader.add_constructor(_tag, _plain)


def read_yaml(file: Path, raised: type[RunbookError]) -> Any:
    """The document in `file`, None when it is empty. Raises `raised` when it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise raised(file, f"cannot be read: {error}") from error
    return parse_yaml(file, text, raised)


def parse_yaml(file: Path, text: str, raised: type[RunbookError]) -> Any:
    """The document in a text that came from `file`. Raises `raised` when it is none."""
    try:
        return yaml.load(text, Loader=_AnsibleLoader)  # noqa: S506 - a SafeLoader, with two tags more
    except yaml.YAMLError as error:
        raise raised(file, f"is no YAML: {' '.join(str(error).split())}") from error
