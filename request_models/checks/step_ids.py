"""Each step, group, approval, prerequisite, input and value has a name of its own."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.resolved import Resolved
from request_models.yaml_source import Path


def check(resolved: Resolved) -> Iterator[Finding]:
    """`duplicate-id`."""
    document = resolved.document
    blocks = [(block.path, block.id) for block in resolved.all_blocks if block.id is not None]
    facts = [(read.path, read.id) for read in resolved.prerequisites if read.id is not None]
    approvals: list[tuple[Path, str]] = [(("approvals", n), one.id) for n, one in enumerate(document.approvals)]
    yield from _twice(blocks, "step or group", "results are bound to ids: give each its own")
    yield from _twice(facts, "prerequisite", "`facts` are named by ids: give each prerequisite its own")
    yield from _twice(approvals, "approval", "decisions are bound to ids: give each approval its own")


def _twice(named: list[tuple[Path, str]], what: str, hint: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            message = f"another {what} before this one is called `{name}`"
            yield Finding((*path, "id"), "duplicate-id", message, hint)
        seen.add(name)
