"""Which names can be read where: asked of the compiler, for every place of an example that is evaluated."""

from collections.abc import Iterator
from pathlib import Path

from request_models.actions import ActionSpec
from request_models.loading import load_file
from request_models.reach import BEFORE_STEPS
from request_models.reference.markdown import code, table
from request_models.resolved import Site, sites
from request_models.resolving import resolve
from request_models.scope_types import EXTRA_ROOTS, ROOTS
from request_models.surroundings import Surroundings

_COLUMNS = (*(root for root in ROOTS if root != "steps"), "facts", "steps", *EXTRA_ROOTS)
_BLOCK_KEYS = ("for_each", "key", "when")


class _NoActions:
    """A catalogue without actions: which names are in scope does not depend on what is called."""

    def spec(self, name: str) -> ActionSpec | None:
        return None

    def suggestions(self, name: str) -> list[str]:
        return []


def scope_table(model: Path) -> str:
    """The table, of a model that uses every part. Raises LookupError when it cannot be read."""
    found: dict[tuple[str, str], list[Site]] = {}
    for site in _sites_of(model):
        found.setdefault(_place(site), []).append(site)
    rows: dict[tuple[str, ...], list[str]] = {}
    for (owner, key), places in found.items():
        rows.setdefault((owner, *(_cell(column, places) for column in _COLUMNS)), []).append(key)
    ordered = sorted(rows, key=lambda row: _ORDER.index(row[0]))
    return table(
        ["Where", *map(code, _COLUMNS)],
        [[_where(row[0], rows[row]), *row[1:]] for row in ordered],
    )


def _where(owner: str, keys: list[str]) -> str:
    named = ", ".join(code(key) for key in dict.fromkeys(keys) if key)
    return f"{named} of {owner}" if named else owner


def _sites_of(file: Path) -> Iterator[Site]:
    source, diagnostics = load_file(file)
    if source is None:
        raise LookupError(f"{file} cannot be read: {diagnostics[0].message}")
    yield from sites(resolve(source, Surroundings(_NoActions())))


def _place(site: Site) -> tuple[str, str]:
    """A kind of place: what it is part of, and its key there."""
    names = [str(part) for part in site.path if isinstance(part, str)]
    match names[0]:
        case "inputs" | "outputs":
            return _OWNERS[names[0]], _key(names[2:])
        case "steps":
            inside = [str(part) for part in site.path[len(site.block) :] if isinstance(part, str)]
            inside = [name for name in inside if name != "actions"]
            if inside[0] == "undo":
                return _OWNERS["undo"], inside[1]
            return _OWNERS["blocks" if inside[0] in _BLOCK_KEYS else "steps"], inside[0]
        case "values" | "locks":
            return code(names[0]), ""
        case _:
            return code(names[0]), _key(names[1:])


def _key(names: list[str]) -> str:
    """`choices.select`, `retire.inputs`: as far as the language goes, not the names that an author gives."""
    return ".".join(names[:2] if names[0] in {"choices", "retire"} else names[:1])


_OWNERS = {
    "inputs": "an input", "blocks": "a step or group", "steps": "a step", "undo": "an undo", "outputs": "an output",
}  # fmt: skip
_ORDER = (
    "an input", "`eligible`", "`values`", "`prerequisites`", "`approvals`", "`starts`", "`locks`", "a step or group",
    "a step", "an undo", "`verify`", "an output", "`notify`", "`triggers`", "`lease`",
)  # fmt: skip


def _cell(column: str, places: list[Site]) -> str:
    if column == "facts" and places[0].block[0] == "prerequisites":
        return "earlier ones"
    if column == "item" and places[0].block[0] == "steps" and not _names_items(places[0]):
        return "in a loop"
    readable = [_readable(column, site) for site in places]
    if all(readable):
        return _how_many(places) if column == "steps" else "yes"
    return ""


def _names_items(site: Site) -> bool:
    return site.path[len(site.block) :] == ("key",)


def _readable(column: str, site: Site) -> bool:
    if column == "facts":
        return bool(site.facts)
    if column == "steps":
        return "steps" in site.roots and site.block[0] not in BEFORE_STEPS
    return column in site.roots


def _how_many(places: list[Site]) -> str:
    return "those before" if places[0].block[0] == "steps" else "all"
