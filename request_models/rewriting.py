"""A model's text with one thing in it changed: everything else, comments and layout included, stays as it is.

Places are named by what stands there, never by position: `due.within`, `steps.create.retry`, `approvals.large.remind`,
`inputs.region.default`. Steps are found wherever they are nested.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from request_models.errors import RequestModelsError
from request_models.json_values import JsonValue

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_TRAPS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LISTS_BY_ID = frozenset({"approvals", "prerequisites"})
_NESTED = ("steps", "parallel", "else")


class CannotRewrite(RequestModelsError):
    """The place is not in this text, or what is asked cannot be done to it; the message says which."""


def put(text: str, place: str, value: JsonValue) -> str:
    """Give a key a value, the one it has or a new one; maps between that are missing are made."""
    node, rest = _reach(_root(text), place.split("."))
    if not rest:
        return _spliced(text, node.start_mark.index, _end(text, node), written(value))
    if not isinstance(node, MappingNode):
        raise CannotRewrite(f"`{place}` cannot be set: what stands above `{rest[0]}` is no map.")
    for name in reversed(rest[1:]):
        value = {name: value}
    return _with_key(text, node, rest[0], value)


def drop(text: str, place: str) -> str:
    """Take a key, a step or an approval out; a list or map that nothing is left in goes with it."""
    names = place.split(".")
    for parents in _chain(_root(text), names):
        parent, child = parents
        count = len(parent.value)
        if count > 1:
            return _without(text, parent, child)
    raise CannotRewrite(f"`{place}` cannot be taken out: the model would be empty.")


def append(text: str, place: str, value: JsonValue) -> str:
    """Add an item at the end of a list."""
    node, rest = _reach(_root(text), place.split("."))
    if rest:
        return put(text, place, [value])
    if not isinstance(node, SequenceNode) or not node.value:
        raise CannotRewrite(f"`{place}` is no list that something can be added to.")
    last = node.value[-1]
    end = _end(text, last)
    if node.flow_style:
        return _spliced(text, end, end, f", {written(value)}")
    line = _line_end(text, end)
    return _spliced(text, line, line, f"\n{' ' * _dash(text, last)}- {written(value)}")


def together(text: str, steps: Sequence[str]) -> str:
    """Put steps that stand one after the other into a `parallel` block."""
    holder, nodes = _neighbours(_root(text), steps)
    if holder.flow_style:
        raise CannotRewrite(f"The steps {', '.join(steps)} stand in one line; write a step a line first.")
    first, last = nodes[0], nodes[-1]
    column = _dash(text, first)
    start = _line_start(text, first.start_mark.index)
    end = _line_end(text, _end(text, last))
    lines = [f"  {line}" if line.strip() else line for line in text[start:end].split("\n")]
    indent = " " * column
    # Two more than the key, as lists stand under their keys in our models.
    lines = [f"  {line}" if line.strip() else line for line in lines]
    return _spliced(text, start, end, "\n".join([f"{indent}- parallel:", *lines]))


def move_to_prerequisites(text: str, place: str) -> str:
    """Make a step that reads a prerequisite: what is not part of one (a title, a condition) is left behind."""
    node, rest = _reach(_root(text), place.split("."))
    if rest or not isinstance(node, MappingNode):
        raise CannotRewrite(f"There is no `{place}` in the model.")
    step = YAML(typ="safe", pure=True).load(text[node.start_mark.index : _end(text, node)]) if node.flow_style else None
    if step is None:
        column = " " * node.start_mark.column
        step = YAML(typ="safe", pure=True).load(column + text[node.start_mark.index : _end(text, node)])
    kept = {key: step[key] for key in ("id", "uses", "with", "target", "expect", "otherwise", "timeout") if key in step}
    without = drop(text, place)
    if _reach(_root(without), ["prerequisites"])[1]:
        root = _root(without)
        blocks = next(key for key, _ in root.value if key.value == "steps")
        at = blocks.start_mark.index
        return _spliced(without, at, at, f"prerequisites:\n  - {written(kept)}\n")
    return append(without, "prerequisites", kept)


def written(value: JsonValue) -> str:
    """A value as YAML in one line; texts without quotes only where nothing else can be read in them."""
    match value:
        case dict():
            return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(written(item) for item in value) + "]"
        case str():
            plain = _PLAIN.fullmatch(value) and value.lower() not in _TRAPS
            return value if plain else json.dumps(value, ensure_ascii=False)
        case _:
            return json.dumps(value)


# finding places


def _root(text: str) -> Node:
    try:
        node = YAML(typ="rt", pure=True).compose(text)
    except YAMLError as error:
        raise CannotRewrite(f"The model is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(node, MappingNode):
        raise CannotRewrite("The model is no map.")
    return node


def _reach(node: Node, names: list[str]) -> tuple[Node, list[str]]:
    """The node as far along the names as there is one, and the names that are left."""
    for index in range(len(names)):
        found = _child(node, names[index], names[index - 1] if index else "")
        if found is None:
            if names[index - 1 : index] in (["steps"], ["approvals"], ["prerequisites"]) and index > 0:
                raise CannotRewrite(f"There is no `{names[index]}` among the {names[index - 1]}.")
            return node, names[index:]
        node = found
    return node, []


def _chain(root: Node, names: list[str]) -> Iterator[tuple[Any, Node]]:
    """Parents with the child that is on the way to a place, from the innermost outwards."""
    target, rest = _reach(root, names)
    if rest:
        raise CannotRewrite(f"There is no `{'.'.join(names)}` in the model.")
    path: list[tuple[Any, Node]] = []
    _path_to(root, target, path)
    yield from reversed(path)


def _path_to(node: Node, target: Node, path: list[tuple[Any, Node]]) -> bool:
    for child in _children(node):
        path.append((node, child))
        if child is target or _path_to(child, target, path):
            return True
        path.pop()
    return False


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _child(node: Node, name: str, above: str) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if key.value == name), None)
    if isinstance(node, SequenceNode) and above == "steps":
        return _step(node, name)
    if isinstance(node, SequenceNode) and above in _LISTS_BY_ID:
        return next((item for item in node.value if _id_of(item) == name), None)
    return None


def _step(blocks: SequenceNode, name: str) -> Node | None:
    for block in blocks.value:
        if _id_of(block) == name:
            return block  # type: ignore[no-any-return]
        for key, inner in block.value if isinstance(block, MappingNode) else ():
            if key.value in _NESTED and isinstance(inner, SequenceNode) and (found := _step(inner, name)) is not None:
                return found
    return None


def _id_of(node: Node) -> str | None:
    child = _child(node, "id", "") if isinstance(node, MappingNode) else None
    return str(child.value) if isinstance(child, ScalarNode) else None


def _neighbours(root: Node, steps: Sequence[str]) -> tuple[SequenceNode, list[Node]]:
    holder, _ = next(_chain(root, ["steps", steps[0]]))
    ids = [_id_of(item) for item in holder.value]
    start = ids.index(steps[0])
    if ids[start : start + len(steps)] != list(steps):
        raise CannotRewrite(f"The steps {', '.join(steps)} do not stand one after the other in one list.")
    return holder, holder.value[start : start + len(steps)]


# splicing


def _spliced(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _with_key(text: str, node: MappingNode, key: str, value: JsonValue) -> str:
    entry = f"{written(key)}: {written(value)}"
    if not node.value:
        return _spliced(text, node.start_mark.index, node.end_mark.index, "{" + entry + "}")
    end = _end(text, node.value[-1][1])
    if node.flow_style:
        return _spliced(text, end, end, f", {entry}")
    line = _line_end(text, end)
    return _spliced(text, line, line, f"\n{' ' * node.value[0][0].start_mark.column}{entry}")


def _without(text: str, parent: Any, child: Node) -> str:
    """The text without one entry of a map or list that has others."""
    pairs = [entry if isinstance(parent, MappingNode) else (entry, entry) for entry in parent.value]
    entries = [(first.start_mark.index, _end(text, value)) for first, value in pairs]
    place = next(index for index, (_, value) in enumerate(pairs) if value is child)
    start, end = entries[place]
    if parent.flow_style:
        if place + 1 < len(entries):
            return _spliced(text, start, entries[place + 1][0], "")
        return _spliced(text, entries[place - 1][1], end, "")
    begin, over = _line_start(text, start), _line_end(text, end) + 1
    dashed = text[begin:start].strip() != "" and isinstance(parent, MappingNode)
    if dashed:  # the first key behind a dash: the next one takes its place
        return _spliced(text, start, entries[place + 1][0], "")
    return text[:begin] + text[over:]


def _end(text: str, node: Any) -> int:
    """Where the last character of a node is over: a block's own end mark lies behind the comments after it."""
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        end: int = node.end_mark.index
        while end > node.start_mark.index and text[end - 1] in "\n ":
            end -= 1
        return end
    return _end(text, node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1])


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _dash(text: str, item: Node) -> int:
    """The column of the dash of a list's item."""
    start = _line_start(text, item.start_mark.index)
    return text.index("-", start) - start


OPERATIONS: Mapping[str, Callable[[str, str, Any], str]] = {
    "set": put,
    "remove": lambda text, place, _: drop(text, place),
    "append": append,
    "move": lambda text, place, _: move_to_prerequisites(text, place),
    "parallel": lambda text, _, steps: together(text, steps),
}
"""What can be done to a text, by name; each takes the text, the place and the value."""
