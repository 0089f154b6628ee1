"""The model whose history is made, and its plan."""

from functools import cache

from connectors.memory import Memory
from connectors.registry import Registry
from request_models.actions import ActionSpec, EffectClass
from request_models.compiler import compile_model
from request_models.loading import load_model
from request_models.plan import Plan
from request_models.value_types import Member, ObjectType, StringType

ZONES = ("z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8")


def text_of(due: int, *, pair: bool, within: int, version: int = 1) -> str:
    """The YAML. `pair` adds two steps that need nothing of each other; `version` changes an argument."""
    both = "".join(
        f"""  - id: {name}
    uses: bench.act
    with: {{a: "{{{{ steps.tidy.result.x }}}}"}}
    undo: {{none: kept}}
"""
        for name in ("left", "right") * pair
    )
    after = "{{ steps.left.result.x }}" if pair else ""
    return f"""\
# Made by the benchmark.
model: bench
title: Bench
kind: resource
service: bench
owners: {{accountable: bench-owner, responsible: [ops]}}
suppliers:
  - {{name: acme, agreement: silver, within: PT{within}S, allowance: 0.05, steps: [tidy]}}
inputs:
  region: {{type: string, enum: [a, b, c]}}
  tier: {{type: string, enum: [basic, plus]}}
  zone: {{type: string, enum: [{", ".join(ZONES)}]}}
  kind: {{type: string}}   # free
  size: {{type: integer}}
  note: {{type: string, required: false}}
values: {{name: "n-{{{{ inputs.size }}}}"}}
approvals:
  - {{id: manager, by: ["group:managers"]}}
due: {{within: PT{due}S}}
steps:
  - id: make   # the main work
    uses: bench.act
    with: {{a: "{{{{ values.name }}}}-{version}"}}
    retry: {{attempts: 3, delay: PT30S, errors: [transient, unknown]}}
    undo: {{none: "kept"}}
  - id: fit
    uses: bench.act
    with: {{a: "{{{{ values.name }}}} {{{{ steps.make.result.x }}}} {{{{ inputs.region }}}} {{{{ inputs.tier }}}}"}}
    undo: {{none: "kept"}}
  - id: tidy
    uses: bench.act
    with: {{a: "{{{{ values.name }}}}", b: "{{{{ inputs.zone }}}} {{{{ inputs.kind }}}}"}}
    undo: {{none: "kept"}}
{both}  - id: tell
    uses: bench.act
    with: {{a: "{{{{ values.name }}}} {{{{ steps.fit.result.x }}}}{after}"}}
    undo: {{none: "kept"}}
  - id: late
    uses: bench.read
    with: {{a: "{{{{ values.name }}}}"}}
    expect: result.x == 'ok'
    otherwise: It is not.
"""


@cache
def actions() -> Registry:
    """The actions that the model uses."""
    texts = ObjectType(members={name: Member(type=StringType(), required=False) for name in ("a", "b")})
    result = ObjectType(members={"x": Member(type=StringType(), required=True)})
    memory = Memory("bench")
    memory.define(ActionSpec("bench.act", "Act", effect=EffectClass.IDEMPOTENT, arguments=texts, result=result))
    memory.define(ActionSpec("bench.read", "Read", effect=EffectClass.READ_ONLY, arguments=texts, result=result))
    return Registry([memory])


@cache
def plan_of(text: str) -> Plan:
    """The plan of a text that is right. Raises AssertionError with what is wrong."""
    source, found = load_model("bench.yaml", text)
    assert source is not None, found
    made = compile_model(source, actions())
    plan = made.stages.get("planned")
    assert isinstance(plan, Plan), made.diagnostics
    return plan
