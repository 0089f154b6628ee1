"""The look of a drawing: colours by kind of part, for light and dark screens; paper is light."""

from collections.abc import Mapping

ARROWS = ("input", "context", "value", "step", "check", "group", "order", "undo")
"""The kinds of line that end in an arrow."""

_LIGHT: Mapping[str, tuple[str, str]] = {
    "input": ("#2f8f4e", "#eef9f1"),
    "context": ("#6b7480", "#f3f4f6"),
    "value": ("#a97a08", "#fff8e6"),
    "start": ("#57606a", "#f6f7f9"),
    "check": ("#0f7f86", "#eaf8f8"),
    "approval": ("#b4530a", "#fff3e8"),
    "step": ("#3a6fd8", "#eef4ff"),
    "group": ("#8a94a6", "#fafbfc"),
    "choice": ("#3a6fd8", "#ffffff"),
    "bar": ("#1b1f24", "#1b1f24"),
    "undo": ("#b3413c", "#fdf1f0"),
    "output": ("#7a4fc0", "#f5f0fd"),
    "after": ("#57606a", "#f6f7f9"),
    "order": ("#1b1f24", "none"),
}
_DARK: Mapping[str, tuple[str, str]] = {
    "input": ("#5cc47f", "#14271b"),
    "context": ("#98a2b0", "#22262c"),
    "value": ("#dcae46", "#2b2410"),
    "start": ("#a8b2bf", "#1c2026"),
    "check": ("#4fc0c7", "#10282a"),
    "approval": ("#f0a463", "#33210f"),
    "step": ("#7ba4f4", "#17233c"),
    "group": ("#6b7480", "#14181d"),
    "choice": ("#7ba4f4", "#0f1216"),
    "bar": ("#e8eaed", "#e8eaed"),
    "undo": ("#ea8a84", "#331a19"),
    "output": ("#b394ee", "#261c3a"),
    "after": ("#a8b2bf", "#1c2026"),
    "order": ("#e8eaed", "none"),
}


def _colours(colours: Mapping[str, tuple[str, str]], ground: str, ink: str, faint: str) -> str:
    rules = [f".orderly-graph .ground{{fill:{ground}}}.orderly-graph text{{fill:{ink}}}"]
    rules.append(f".orderly-graph .model,.orderly-graph .line{{fill:{faint}}}")
    for kind, (stroke, fill) in colours.items():
        rules.append(f".orderly-graph .part.{kind} rect{{stroke:{stroke};fill:{fill}}}")
        rules.append(f".orderly-graph .edge.{kind}{{stroke:{stroke}}}.orderly-graph .head.{kind}{{fill:{stroke}}}")
    return "".join(rules)


STYLE = "".join(
    [
        ".orderly-graph text{font-family:system-ui,sans-serif;font-size:11.5px}",
        ".orderly-graph .title{font-size:18px;font-weight:600}",
        ".orderly-graph .name{font-size:13px;font-weight:600}",
        ".orderly-graph .edge{fill:none;stroke-width:1.2;stroke-opacity:.75}",
        ".orderly-graph .edge.order{stroke-width:2.2;stroke-opacity:1}",
        ".orderly-graph .edge.undo,.orderly-graph .part.undo rect{stroke-dasharray:5 4}",
        ".orderly-graph rect{stroke-width:1.4}",
        ".orderly-graph .part.approval rect,.orderly-graph .part.start rect{stroke-width:2.4}",
        "@media print{.orderly-graph{width:100%;height:auto}}",
        _colours(_LIGHT, "#ffffff", "#1b1f24", "#57606a"),
        "@media screen and (prefers-color-scheme:dark){",
        _colours(_DARK, "#0f1216", "#e8eaed", "#9aa4b0"),
        "}",
    ]
)
"""The style sheet of a drawing."""
