"""Pieces of the example models: `#: NAME` starts one, the next line with `#:` ends it."""

from pathlib import Path
from textwrap import dedent

_MARK = "#:"


class Excerpts:
    """The pieces of all models in a folder, by name."""

    def __init__(self, examples: Path) -> None:
        self._pieces: dict[str, str] = {}
        for file in sorted((examples / "models").glob("*.yaml")):
            self._read(file.read_text(encoding="utf-8").splitlines(keepends=True))

    @property
    def names(self) -> frozenset[str]:
        """The names of all pieces."""
        return frozenset(self._pieces)

    def show(self, name: str) -> str:
        """A piece as a block of Markdown. Raises KeyError when there is none of the name."""
        return f"```yaml\n{dedent(self._pieces[name])}```\n"

    def _read(self, lines: list[str]) -> None:
        name = ""
        for line in lines:
            if line.lstrip().startswith(_MARK):
                name = line.strip().removeprefix(_MARK).strip()
            elif name:
                self._pieces[name] = self._pieces.get(name, "") + line
