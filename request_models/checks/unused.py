"""Inputs, values and answers of prerequisites that nothing reads are asked for, or computed, in vain."""

from collections.abc import Iterator

from request_models.diagnostics import Severity
from request_models.findings import Finding
from request_models.resolved import Resolved, sites


def check(resolved: Resolved) -> Iterator[Finding]:
    """`unused-input`, `unused-value`, `unused-fact`: warnings."""
    reads = {read for site in sites(resolved) for read in site.node.reads}
    for root, names, code in (
        ("inputs", resolved.document.inputs, "unused-input"),
        ("values", resolved.document.values, "unused-value"),
    ):
        used = {read.split(".")[1] for read in reads if read.startswith(f"{root}.")}
        if root in reads or used - names.keys() or resolved.broken:
            continue  # what is not read may be what a misspelt name, or an expression that cannot be read, means
        for name in names:
            if name not in used:
                message = f"nothing reads `{root}.{name}`"
                yield Finding((root, name), code, message, severity=Severity.WARNING, on_key=True)
    yield from _facts(resolved, reads)


def _facts(resolved: Resolved, reads: set[str]) -> Iterator[Finding]:
    """A prerequisite that only reads, and whose answer nothing reads, holds whatever it answers."""
    used = {read.split(".")[1] for read in reads if read.startswith("facts.")}
    known = {read.id for read in resolved.prerequisites}
    if "facts" in reads or used - known or resolved.broken:
        return
    for read in resolved.prerequisites:
        if read.document.expect is None and read.id not in used:
            message = f"nothing reads `facts.{read.id}`, and no `expect` says what its answer must be like"
            hint = "write `expect`, or leave it out"
            yield Finding((*read.path, "id"), "unused-fact", message, hint, Severity.WARNING)
