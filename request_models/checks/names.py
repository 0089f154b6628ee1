"""Every name an expression reads is there, at the place where it is read."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from request_models.findings import Finding
from request_models.reach import BEFORE_STEPS, Reach, reach
from request_models.resolved import Resolved, Site, sites
from request_models.scope_types import EXTRA_ROOTS, NOTIFIED_REQUEST, PERSON, REQUEST, ROOTS
from request_models.suggestions import nearest


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unknown-name`, and `forward-reference` for the result of a step that cannot be read at this place."""
    known = _known(resolved)
    for site in sites(resolved):
        for read in site.node.reads:
            finding = _wrong(resolved, site, read, known)
            if finding is not None:
                yield finding


def _known(resolved: Resolved) -> Mapping[str, Collection[str]]:
    return {
        "inputs": list(resolved.document.inputs),
        "values": list(resolved.document.values),
        "settings": list(resolved.settings),
        "steps": [block.id for block in resolved.all_blocks if block.id is not None],
    }


def _wrong(resolved: Resolved, site: Site, read: str, known: Mapping[str, Collection[str]]) -> Finding | None:  # noqa: PLR0911 - one case a root
    root, _, rest = read.partition(".")
    name = rest.partition(".")[0]
    if root == "facts":
        return _unknown_fact(resolved, site, name)
    if root not in site.roots:
        return _unknown_root(site, root)
    if root in EXTRA_ROOTS:
        return None
    if root in {"requester", "user"}:
        return _unknown_person(site, root, name)
    if not name:
        return None
    if root == "request":
        members = NOTIFIED_REQUEST.members if site.path[0] == "notify" else REQUEST.members
        return None if name in members else _unknown(site, root, name, list(members))
    if name not in known[root]:
        return _unknown(site, root, name, known[root])
    if root == "steps":
        return _out_of_reach(resolved, site, name)
    if root == "values" and site.value == name:
        return Finding(site.path, "value-cycle", f"`values.{name}` reads itself", at=f"values.{name}")
    return None


_PLACES = {
    "args": "`expect`, `otherwise`, `until`, `fails` and `undo`",
    "result": "`expect`, `otherwise`, `until`, `fails`, `undo` and `select`",
    "item": "steps and groups with `for_each`",
    "event": "`triggers`",
}


def _unknown_root(site: Site, root: str) -> Finding:
    if root in _PLACES:
        return Finding(site.path, "unknown-name", f"`{root}` is there only in {_PLACES[root]}", at=root)
    if root in ROOTS:
        known = ", ".join(f"`{name}`" for name in sorted(site.roots))
        return Finding(site.path, "unknown-name", f"`{root}` is not there at this place", f"here are {known}", at=root)
    near = get_close_matches(root, site.roots, n=1)
    hint = f"is `{near[0]}` meant?" if near else f"names start with {', '.join(ROOTS)}; text is put in quotes"
    return Finding(site.path, "unknown-name", f"`{root}` is not defined", hint, at=root)


def _unknown_fact(resolved: Resolved, site: Site, name: str) -> Finding | None:
    if not name or name in site.facts:
        return None
    read = [one for one in resolved.prerequisites if one.id == name]
    at = f"facts.{name}"
    if not read:
        known = site.facts or [one.id for one in resolved.prerequisites if one.id is not None]
        return _unknown(site, "facts", name, known)
    if not read[0].uses:
        message, hint = f"prerequisite `{name}` is a condition alone: it has no answer", "give it `uses`"
    elif site.path[0] == "prerequisites":
        message, hint = f"prerequisite `{name}` is not read before this", "prerequisites are read in the order written"
    else:
        message = f"`{at}` is not known here"
        hint = "prerequisites are read once the request is accepted, before approvals and steps"
    return Finding(site.path, "unknown-name", message, hint, at=at)


def _unknown_person(site: Site, root: str, name: str) -> Finding | None:
    """People have further attributes in the directory, so only what is nearly a known one is a slip."""
    near = get_close_matches(name, list(PERSON.members), n=1, cutoff=0.8) if name and name not in PERSON.members else []
    if not near:
        return None
    message = f"`{root}` has no `{name}`"
    return Finding(site.path, "unknown-name", message, f"is `{near[0]}` meant?", at=f"{root}.{name}")


def _unknown(site: Site, root: str, name: str, names: Collection[str]) -> Finding:
    near = nearest(name, names)
    shown = ", ".join(sorted(names)[:12])
    hint = f"is `{root}.{near}` meant?" if near else f"`{root}` has {shown}" if names else f"`{root}` is empty"
    what = {
        "inputs": "input",
        "values": "value",
        "steps": "step",
        "settings": "public setting",
        "facts": "prerequisite",
    }.get(root, "member")
    return Finding(site.path, "unknown-name", f"there is no {what} `{name}`", hint, at=f"{root}.{name}")


def _out_of_reach(resolved: Resolved, site: Site, name: str) -> Finding | None:
    block = resolved.block(name)
    if block is None:
        return None
    found = reach(site.block, block.path, resolved.loops)
    if found is Reach.BEFORE:
        return None
    if site.block[0] in BEFORE_STEPS:
        where = f"`{site.block[0]}`"
        message = f"{where} are judged before any step runs"
        hint = "write the expression where it is used" if site.value is not None else "leave the step's result out"
    else:
        message, hint = _SAID[found]
    return Finding(
        site.path, "forward-reference", message.format(name=name), hint.format(name=name), at=f"steps.{name}"
    )


_SAID: Mapping[Reach, tuple[str, str]] = {
    Reach.ITSELF: (
        "this is within step `{name}` itself",
        "its own answer is `result`: in `expect`, `otherwise`, `until`, `fails` and `undo`",
    ),
    Reach.AROUND: ("this is within `{name}`, whose state is known only at its end", "read the steps before this one"),
    Reach.AFTER: ("step `{name}` runs after this", "move the step up, or this down"),
    Reach.OTHER_BRANCH: (
        "step `{name}` is in another branch that runs at the same time",
        "branches are independent: move this behind the `parallel` block, or the step before it",
    ),
    Reach.OTHERWISE: ("step `{name}` runs only when this does not", "`steps` and `else` of a group never both run"),
    Reach.IN_LOOP: (
        "step `{name}` runs once for each item of a loop",
        "read the loop's `items`: `steps.LOOP.items`, each with `item`, `state` and what came of it",
    ),
}
