"""The requests of the chaos test: mixed models, drawn from a seed, and what must be at the targets for each of them."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos_targets import CountingServer, Folder

_HEAD = """
model: {model}
title: {model}
kind: resource
service: chaos
owners: {{accountable: chaos-owner, responsible: [chaos-team]}}
due: {{within: PT1H}}
"""
_RETRY = "retry: {attempts: 6, delay: PT1S, factor: 1.5}, timeout: PT30S"
_FOLDER = "inputs: {folder: {type: string}}\n"
_TAG = "inputs: {tag: {type: string, pattern: '^[a-z0-9-]{1,40}$'}}\n"
_BOTH = "inputs: {folder: {type: string}, tag: {type: string, pattern: '^[a-z0-9-]{1,40}$'}}\n"


def _act(step: str, name: str | None = None) -> str:
    given = "{folder: '{{ inputs.folder }}', name: " + (name or step) + "}"
    back = "{folder: '{{ args.folder }}', name: '{{ args.name }}'}"
    return (
        "{id: " + step + ", uses: chaos.act, with: " + given + ", " + _RETRY + ","
        " undo: {uses: chaos.take_back, with: " + back + "}}"
    )


def _post(step: str, path: str, *, keyed: bool) -> str:
    key = ", honours_key_for: PT24H" if keyed else ""
    body = "{request: '{{ request.id }}', tag: '{{ inputs.tag }}', name: " + step + "}"
    undo = (
        "{uses: http.delete, with: {url: '{{ settings.counter }}/keyed/{{ inputs.tag }}/" + step + "'}, " + _RETRY + "}"
        if keyed
        else "{none: What was posted cannot be called back.}"
    )
    retry = _RETRY if keyed else "timeout: PT30S"
    url = "'{{ settings.counter }}/" + path + "'"
    return (
        "{id: "
        + step
        + ", uses: http.post, with: {url: "
        + url
        + ", json: "
        + body
        + key
        + "}, "
        + retry
        + ", undo: "
        + undo
        + "}"
    )


_STEPS = {
    "posts": _TAG + f"steps:\n  - {_post('one', 'keyed', keyed=True)}\n  - {_post('two', 'keyed', keyed=True)}\n",
    "posts-unkeyed": _TAG + f"steps:\n  - {_post('only', 'unkeyed', keyed=False)}\n",
    "acts": _FOLDER + f"steps:\n  - {_act('one')}\n  - {_act('two')}\n",
    "fans-out": _FOLDER + f"steps:\n  - parallel:\n      - {_act('a')}\n      - {_act('b')}\n      - {_act('c')}\n",
    "loops": "inputs: {folder: {type: string}, names: {type: array, items: {type: string}, maxItems: 10}}\n"
    "steps:\n  - id: each\n    for_each: inputs.names\n    key: item\n    concurrency: 2\n    steps:\n"
    "      - " + _act("act", "'{{ item }}'") + "\n",
    "undoes": _BOTH + "on_failure: undo\nsteps:\n"
    f"  - {_act('one')}\n  - {_post('two', 'keyed', keyed=True)}\n"
    "  - {id: refused, uses: http.post, with: {url: '{{ settings.counter }}/refuses', json: {}}, timeout: PT30S,"
    " undo: {none: It never does anything.}}\n",
    "waits": _FOLDER + f"steps:\n  - {_act('before')}\n"
    "  - {id: moment, uses: wait.until, with: {at: \"{{ request.submitted + duration('PT8S') }}\"}}\n"
    f"  - {_act('after')}\n",
    "buckets": _TAG + "target: {aws: {region: eu-west-1}}\nsteps:\n"
    "  - {id: make, uses: aws.s3.create_bucket, with: {Bucket: 'chaos-{{ inputs.tag }}',"
    " CreateBucketConfiguration: {LocationConstraint: eu-west-1}}, " + _RETRY + ","
    " undo: {uses: aws.s3.delete_bucket, with: {Bucket: '{{ args.Bucket }}'}}}\n"
    "  - {id: tag, uses: aws.s3.put_bucket_tagging, with: {Bucket: 'chaos-{{ inputs.tag }}',"
    " Tagging: {TagSet: [{Key: made-for, Value: '{{ request.id }}'}]}}, " + _RETRY + ", undo: {covered_by: make}}\n",
    "notes": _FOLDER
    + "steps:\n  - {id: note, uses: runbook.chaos_note, with: {path: '{{ inputs.folder }}/note'}, "
    + _RETRY.replace("PT30S", "PT2M")
    + ", undo: {none: It stays.}}\n",
}
WEIGHTS = {
    "posts": 5,
    "posts-unkeyed": 3,
    "acts": 4,
    "fans-out": 3,
    "loops": 3,
    "undoes": 3,
    "waits": 3,
    "buckets": 4,
    "notes": 1,
}
MODELS = {model: _HEAD.format(model=model) + steps for model, steps in _STEPS.items()}

NOTE_META = (
    "{title: Note, effect: idempotent, check_mode: honest, probe: check_mode, hosts: false,"
    " arguments: {path: {type: str, required: true}}}\n"
)
NOTE = (
    "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - name: Write\n      ansible.builtin.lineinfile:\n"
    '        {path: "{{ path }}", line: once, create: true, mode: "0600"}\n'
)


@dataclass
class Wanted:
    """One request as it is to be ordered, and where its process is to be killed: (moment, name)."""

    number: int
    model: str
    folder: Folder
    names: tuple[str, ...] = ()
    kill: tuple[str, str] | None = None
    id: str = ""

    @property
    def tag(self) -> str:
        return f"r{self.number}"

    @property
    def inputs(self) -> Mapping[str, object]:
        given: dict[str, object] = {}
        if self.model not in {"posts", "posts-unkeyed", "buckets"}:
            given["folder"] = str(self.folder.path)
        if self.model in {"posts", "posts-unkeyed", "buckets", "undoes"}:
            given["tag"] = self.tag
        if self.model == "loops":
            given["names"] = list(self.names)
        return given

    @property
    def state(self) -> str:
        """The state it must end in, if it is not held."""
        return "failed" if self.model == "undoes" else "fulfilled"

    @property
    def lines(self) -> Counter[str]:
        """The lines that must be in its folder once it has ended."""
        names = {"acts": "one two", "fans-out": "a b c", "loops": " ".join(self.names), "waits": "before after"}
        return Counter(names.get(self.model, "").split())

    @property
    def posts(self) -> Counter[str]:
        """The effects that must be at the counting server."""
        return Counter({"posts": "one two", "posts-unkeyed": "only"}.get(self.model, "").split())


_POINTS = {
    "posts": [("before", "one"), ("after", "one"), ("after", "two")],
    "posts-unkeyed": [("before", "only"), ("after", "only")],
    "acts": [("before", "one"), ("after", "one"), ("after", "two")],
    "fans-out": [("after", "a"), ("before", "b"), ("after", "c")],
    "undoes": [("after", "one"), ("after", "two"), ("before-undo", "one"), ("after-undo", "one")],
    "waits": [("after", "before"), ("after", "after")],
}


def workload(seed: int, count: int, folder: Path) -> list[Wanted]:
    """So many requests, the same for the same seed; a third of them is killed at a named point."""
    drawn = random.Random(seed)
    wanted = []
    for number in range(count):
        model = drawn.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        place = folder / f"r{number}"
        place.mkdir(parents=True)
        names = tuple(f"n{index}" for index in range(drawn.randint(1, 6))) if model == "loops" else ()
        points = [("after", name) for name in names] if names else _POINTS.get(model, [])
        kill = drawn.choice(points) if points and drawn.random() < 1 / 3 else None
        wanted.append(Wanted(number, model, Folder(place), names, kill))
    return wanted


def arm(one: Wanted, counter: CountingServer) -> None:
    """Set the kill point of a request, where its target has it."""
    if one.kill is None:
        return
    when, name = one.kill
    if one.model in {"posts", "posts-unkeyed"} or (one.model == "undoes" and name == "two"):
        counter.kill_points.add((when, one.tag, name))
    else:
        one.folder.kill_at(when, name)


@dataclass
class Figures:
    """What is printed at the end."""

    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)

    def table(self, title: str, rows: Mapping[str, object]) -> str:
        lines = [f"\n{title}"]
        lines += [f"  {name:<34} {value}" for name, value in rows.items()]
        lines += [f"  ended as {state:<25} {count}" for state, count in sorted(self.states.items())]
        lines += [f"  kill -9 of {what:<23} {count}" for what, count in sorted(self.kills.items())]
        lines += [f"  effects at {what:<23} {count}" for what, count in sorted(self.effects.items())]
        return "\n".join(lines)
