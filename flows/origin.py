"""Whether the modules that are imported are Orderly's own: a folder of the same name elsewhere would hide ours."""

from importlib.util import find_spec
from pathlib import Path

ROOTS = ("request_models", "connectors", "flows")
"""The import roots of the distribution."""


def home_of(root: str) -> Path | None:
    """The folder that holds the package `root`, None when there is none."""
    spec = find_spec(root)
    return Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None


def strangers() -> list[str]:
    """A line for each import root that does not stand beside this module."""
    here = Path(__file__).resolve().parent.parent
    homes = {root: home_of(root) for root in ROOTS}
    return [f"{root} comes from {home or 'nowhere'}, not from {here}" for root, home in homes.items() if home != here]
