"""What people call work by hand, made comparable."""

import re


def normalised(label: str) -> str:
    """The label as a name: `Reset  MFA #4711` and `reset mfa (4712)` are one."""
    return "_".join(re.findall(r"[a-z]+", label.lower()))[:40]
