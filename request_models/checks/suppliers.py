"""Suppliers take part in steps that are there, each step with one of them."""

from collections.abc import Iterator
from difflib import get_close_matches

from request_models.findings import Finding
from request_models.resolved import Resolved


def check(resolved: Resolved) -> Iterator[Finding]:
    """`supplier-step`, `supplier-twice`."""
    names = [block.id for block in resolved.all_blocks if block.id is not None]
    taken: dict[str, str] = {}
    seen: set[str] = set()
    for index, supplier in enumerate(resolved.document.suppliers):
        if supplier.name in seen:
            message = f"supplier `{supplier.name}` is named above"
            yield Finding(("suppliers", index, "name"), "supplier-twice", message, "list all its steps in one place")
        seen.add(supplier.name)
        for number, step in enumerate(supplier.steps):
            path = ("suppliers", index, "steps", number)
            if step not in names:
                near = get_close_matches(step, names, n=1)
                hint = f"is `{near[0]}` meant?" if near else f"steps are {', '.join(names)}"
                yield Finding(path, "supplier-step", f"there is no step `{step}`", hint)
            elif step in taken:
                yield Finding(path, "supplier-twice", f"step `{step}` is the part of `{taken[step]}` already")
            taken.setdefault(step, supplier.name)
