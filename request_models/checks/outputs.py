"""What is given once, or to one person alone, is a secret."""

from collections.abc import Iterator

from request_models.findings import Finding
from request_models.loading import ModelSource


def check(source: ModelSource) -> Iterator[Finding]:
    """`once-not-secret`."""
    for name, output in source.document.outputs.items():
        for key in ("once", "to"):
            if getattr(output, key) and not output.secret:
                message = f"`{key}` is for secrets, but this output is shown to whoever may see the request"
                yield Finding(("outputs", name, key), "once-not-secret", message, "add `secret: true`", on_key=True)
