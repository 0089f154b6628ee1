"""No value reads, in the end, itself."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.model_types import order_of_values, value_reads
from request_models.resolved import Resolved


def check(resolved: Resolved) -> Iterator[Finding]:
    """`value-cycle`."""
    _, cycle = order_of_values(resolved.values)
    for name in cycle:
        others = ", ".join(f"`{other}`" for other in sorted(value_reads(resolved.values[name]) & set(cycle)))
        if name not in value_reads(resolved.values[name]):
            message = f"`values.{name}` reads itself in the end: it reads {others}"
            yield Finding(("values", name), "value-cycle", message, on_key=True)
