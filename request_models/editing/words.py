"""What is said of actions, arguments and types, as Markdown."""

from collections.abc import Iterator

from request_models.actions import ActionSpec, EffectClass
from request_models.drafting import undoing
from request_models.editing.catalogue import Knowledge
from request_models.json_values import canonical_json
from request_models.type_algebra import any_secret, member_of, options, say_type
from request_models.value_types import ArrayType, IntegerType, Member, NumberType, ObjectType, StringType, ValueType

EFFECTS = {
    EffectClass.READ_ONLY: "it only reads: repeated freely, and there is nothing to undo",
    EffectClass.IDEMPOTENT: "repeating it changes nothing more",
    EffectClass.TAKES_TOKEN: "the system knows a repeated call by its token",
    EffectClass.HAS_PROBE: "after an unknown outcome it is looked up whether it happened",
    EffectClass.NOT_REPEATABLE: "after an unknown outcome it is held for a person, never repeated blindly",
}
"""What each class of effect means for retries."""

_MOST_ROWS = 40
_MOST_VALUES = 12


def say_action(spec: ActionSpec, knowledge: Knowledge) -> str:
    """All of an action: title, documentation, effect, what probably undoes it, and its arguments."""
    parts = [f"### {spec.title or spec.name}", f"`{spec.name}`"]
    if spec.documentation:
        parts.append(plain(spec.documentation))
    facts = [f"**Effect:** {spec.effect}: {EFFECTS[spec.effect]}."]
    if spec.takes_hosts:
        facts.append("**Hosts:** it needs `hosts:`, a group of the inventory.")
    if spec.target is not None and spec.system and spec.target.members:
        facts.append(f"**Target:** `{spec.system}`: {', '.join(f'`{name}`' for name in spec.target.members)}.")
    facts.append(f"**Undo:** {_say_undo(spec, knowledge)}")
    parts.append("  \n".join(facts))
    parts.append(_table(spec.arguments))
    if isinstance(spec.result, ObjectType) and spec.result.members:
        parts.append(f"**Result:** {_names(spec.result)}")
    return "\n\n".join(parts)


def say_argument(name: str, member: Member, documentation: str = "") -> str:
    """One argument: its type, whether it must be given, and what the system says of it."""
    kind = member.type
    facts = [f"**`{name}`**", "required" if member.required else "optional", say_type(kind)]
    facts += ["secret"] if any_secret(kind) else []
    parts = [" · ".join(facts)]
    text = documentation or kind.description
    if text:
        parts.append(plain(text))
    parts += [f"- {line}" for line in limits(kind)]
    if member.default is not None:
        parts.append(f"- default: `{canonical_json(member.default).decode()}`")
    if names := _names(kind):
        parts.append(f"**Members:** {names}")
    return "\n\n".join(parts)


def say_name(chain: str, kind: ValueType) -> str:
    """A name in an expression with its type."""
    parts = [f"**`{chain}`** · {say_type(kind)}{' · secret' if kind.secret else ''}"]
    if kind.description:
        parts.append(plain(kind.description))
    parts += [f"- {line}" for line in limits(kind)]
    if names := _names(kind):
        parts.append(f"**Members:** {names}")
    return "\n\n".join(parts)


def limits(kind: ValueType) -> Iterator[str]:
    """What a value must be like, besides its type."""
    for option in options(kind):
        match option:
            case StringType():
                if option.enum is not None and len(option.enum) > 1:
                    more = ", ..." if len(option.enum) > _MOST_VALUES else ""
                    yield f"one of {', '.join(f'`{value}`' for value in option.enum[:_MOST_VALUES])}{more}"
                yield from _range("characters", option.min_length, option.max_length)
                if option.pattern is not None and "`" not in option.pattern:
                    yield f"pattern `{option.pattern}`"
            case IntegerType(minimum=least, maximum=most) | NumberType(minimum=least, maximum=most):
                yield from _range("", least, most)
            case ArrayType(min_items=fewest, max_items=longest):
                yield from _range("items", fewest, longest)
            case _:
                pass  # its type says it all


def plain(text: str) -> str:
    """Words from elsewhere as Markdown that shows them as they are: no markup, no links, no HTML."""
    escaped = "".join(f"\\{one}" if one in "\\`*_[]<>#|~" else one for one in text)
    return " ".join(escaped.split()) if "\n\n" not in escaped else escaped


def _say_undo(spec: ActionSpec, knowledge: Knowledge) -> str:
    if spec.effect is EffectClass.READ_ONLY:
        return "nothing to undo."
    found = next(undoing(spec, knowledge.actions), None)
    if found is None:
        return "nothing here says how: an action, `{covered_by: STEP}`, or `{none: WHY}`."
    needed = ", ".join(f"`{name}`" for name, member in found.arguments.members.items() if member.required)
    return f"probably `{found.name}`{f', which needs {needed}' if needed else ''}."


def _table(arguments: ObjectType) -> str:
    if not arguments.members:
        return "It takes no arguments."
    ordered = sorted(arguments.members.items(), key=lambda pair: not pair[1].required)
    rows = [
        f"| `{name}` | {'yes' if member.required else ''} | {_cell(say_type(member.type))} |"
        for name, member in ordered[:_MOST_ROWS]
    ]
    if len(ordered) > _MOST_ROWS:
        rows.append(f"| ... {len(ordered) - _MOST_ROWS} more | | |")
    return "\n".join(["| Argument | Required | Type |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _names(kind: ValueType) -> str:
    """The members of a map, with their types."""
    found: dict[str, str] = {}
    for option in options(kind):
        for name in option.members if isinstance(option, ObjectType) else ():
            member = member_of(kind, name)
            found[name] = say_type(member.type) if member is not None else ""
    shown = [f"`{name}` ({_cell(said)})" for name, said in list(found.items())[:_MOST_ROWS]]
    return ", ".join(shown) + (f" and {len(found) - _MOST_ROWS} more" if len(found) > _MOST_ROWS else "")


def _range(unit: str, least: float | None, most: float | None) -> Iterator[str]:
    behind = f" {unit}" if unit else ""
    if least is not None and most is not None:
        yield f"{least} to {most}{behind}"
    elif least is not None:
        yield f"{least}{behind} at least"
    elif most is not None:
        yield f"{most}{behind} at most"
