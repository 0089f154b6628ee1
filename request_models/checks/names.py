"""Every name an expression reads is there, at the place where it is read."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from request_models.findings import Finding
from request_models.resolving import Resolved, Site, sites
from request_models.scope_types import EXTRA_ROOTS, PERSON, REQUEST, ROOTS


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unknown-name`, and `forward-reference` for the result of a step that has not run yet."""
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
        "steps": [step.id for step in resolved.steps],
        "request": list(REQUEST.members),
    }


def _wrong(resolved: Resolved, site: Site, read: str, known: Mapping[str, Collection[str]]) -> Finding | None:
    root, _, rest = read.partition(".")
    name = rest.partition(".")[0]
    if root in site.extra:
        return None
    if root not in ROOTS:
        return _unknown_root(site, root)
    if root in {"requester", "user"}:
        return _unknown_person(site, root, name)
    if not name:
        return None
    if name not in known[root]:
        return _unknown(site, root, name, known[root])
    if root == "steps":
        return _too_early(resolved, site, name)
    if root == "values" and site.value == name:
        return Finding(site.path, "value-cycle", f"`values.{name}` reads itself", at=f"values.{name}")
    return None


def _unknown_root(site: Site, root: str) -> Finding:
    if root in EXTRA_ROOTS:
        answered = root in {"args", "result"}
        places = "`expect`, `otherwise` and `undo`" if answered else "places this version cannot run yet"
        return Finding(site.path, "unknown-name", f"`{root}` is there only in {places}", at=root)
    near = get_close_matches(root, ROOTS, n=1)
    hint = f"is `{near[0]}` meant?" if near else f"names start with {', '.join(ROOTS)}; text is put in quotes"
    return Finding(site.path, "unknown-name", f"`{root}` is not defined", hint, at=root)


def _unknown_person(site: Site, root: str, name: str) -> Finding | None:
    """People have further attributes in the directory, so only what is nearly a known one is a slip."""
    near = get_close_matches(name, list(PERSON.members), n=1, cutoff=0.8) if name and name not in PERSON.members else []
    if not near:
        return None
    message = f"`{root}` has no `{name}`"
    return Finding(site.path, "unknown-name", message, f"is `{near[0]}` meant?", at=f"{root}.{name}")


def _unknown(site: Site, root: str, name: str, names: Collection[str]) -> Finding:
    near = get_close_matches(name, list(names), n=1)
    shown = ", ".join(sorted(names)[:12])
    hint = f"is `{root}.{near[0]}` meant?" if near else f"`{root}` has {shown}" if names else f"`{root}` is empty"
    what = {"inputs": "input", "values": "value", "steps": "step", "settings": "public setting"}.get(root, "member")
    return Finding(site.path, "unknown-name", f"there is no {what} `{name}`", hint, at=f"{root}.{name}")


def _too_early(resolved: Resolved, site: Site, name: str) -> Finding | None:
    step = resolved.step(name)
    if step is None or step.index < site.before:
        return None
    if site.before == 0 and site.value is not None:
        message, hint = "`values` are computed before any step runs", "write the expression where it is used"
    elif step.index == site.before:
        message, hint = f"this is within step `{name}` itself", "its own answer is `result`, in `expect` and `undo`"
    else:
        message, hint = f"step `{name}` runs after this", "move the step up, or this down"
    return Finding(site.path, "forward-reference", message, hint, at=f"steps.{name}")
