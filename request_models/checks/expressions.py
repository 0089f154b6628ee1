"""What inference found wrong in expressions: operations there are not, members there are not, missing guards."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.typed import Typed


def check(typed: Typed) -> Iterator[Finding]:
    """`wrong-operation`, `unknown-member`, `unknown-name`, `absent-input`, `unguarded-result`, `omit-misplaced`."""
    for node in typed.nodes():
        for leaf in node.walk():
            for problem in leaf.problems:
                yield Finding(leaf.path, problem.code, problem.message, problem.hint, problem.severity, at=problem.at)
