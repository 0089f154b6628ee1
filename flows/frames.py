"""What expressions see while a request runs: kept in memory, and told of each step as it ends.

A frame is the inside of one item of a loop, or the request outside all loops (`ROOT`). What is in a frame is seen from
the frames within it. Nothing here is stored, logged or handed to Prefect: secrets are revealed in it.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

Entry = dict[str, object]
"""What `steps.ID` holds: `state`, and `args` and `result`, or the `items` of a loop."""

PREREQUISITES: Final = "prerequisites."
"""The paths of prerequisites begin so; what they answered is `facts.ID`."""


@dataclass(frozen=True)
class Frame:
    """One item of a loop; `key` names it together with the loops around it, and `label` is for people."""

    key: str = ""
    item: object = None
    parent: "Frame | None" = None
    label: str = ""

    def inner(self, loop: str, key: str, item: object) -> "Frame":
        """The frame of an item of a loop in this frame."""
        escaped = key.replace("~", "~0").replace("/", "~1")
        own = f"{self.key}/{escaped}" if self.parent is not None else escaped
        return Frame(own, item, self, f"{self.label}{loop}[{key}].")

    def chain(self) -> Iterator["Frame"]:
        """All frames around this one, the outermost first, and then this one."""
        if self.parent is not None:
            yield from self.parent.chain()
        yield self


ROOT: Final = Frame()
"""Outside all loops."""


class Frames:
    """The entries of every frame, and the rest of the scope. Thread-safe."""

    def __init__(self, scope: Mapping[str, object], entries: Mapping[tuple[str, str], Entry]) -> None:
        self._scope = dict(scope)
        self._entries: dict[str, dict[str, Entry]] = {}
        self._lock = threading.Lock()
        for (path, item_key), entry in entries.items():
            self._entries.setdefault(item_key, {})[path] = entry

    def scope(self, frame: Frame) -> dict[str, object]:
        """What expressions see in a frame."""
        steps: dict[str, Entry] = {}
        with self._lock:
            for around in frame.chain():
                steps |= self._entries.get(around.key, {})
        scope = {**self._scope, "steps": steps, "facts": _facts(steps)}
        return scope if frame.parent is None else {**scope, "item": frame.item}

    def put(self, frame: Frame, path: str, entry: Entry) -> None:
        """Tell what came of a step, group or loop."""
        with self._lock:
            self._entries.setdefault(frame.key, {})[path] = entry

    def forget(self, frame: Frame, paths: Iterable[str]) -> None:
        """Have steps untold in a frame and in all frames within it: what they did was taken back."""
        gone = frozenset(paths)
        with self._lock:
            for key, entries in self._entries.items():
                if not frame.key or key == frame.key or key.startswith(f"{frame.key}/"):
                    for path in gone & entries.keys():
                        del entries[path]

    def entry(self, frame: Frame, path: str) -> Entry | None:
        """What came of a step in a frame; None before it has come to anything."""
        with self._lock:
            return self._entries.get(frame.key, {}).get(path)

    def inside(self, frame: Frame) -> dict[str, Entry]:
        """What came of everything in a frame, by name."""
        with self._lock:
            return dict(self._entries.get(frame.key, {}))


def _facts(entries: Mapping[str, Entry]) -> dict[str, object]:
    return {
        path.removeprefix(PREREQUISITES): entry["result"]
        for path, entry in entries.items()
        if path.startswith(PREREQUISITES) and "result" in entry
    }
