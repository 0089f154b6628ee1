"""Our verdict on arguments against Ansible's ArgumentSpecValidator: never laxer, stricter only for reasons we name.

Over every role with argument specs in the collections of the `ansible` package, every module of ansible-core, our own
roles, and specs made up with a seeded chance.
"""

import copy
import importlib.util
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible.modules
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from pydantic import ValidationError

from connectors.runbook.argument_specs import OPTIONS, object_type
from request_models.formats import matches_pattern
from request_models.json_values import JsonValue
from request_models.value_types import Mismatch, check_value

Spec = dict[str, dict[str, Any]]

REPOSITORY = Path(__file__).resolve().parents[3]
CALLS = 80
REASONS = {
    "converted by Ansible", "null for nothing", "given twice", "a unit written out", "a choice after converting",
    "in a list whose options Ansible does not look at",
}  # fmt: skip
"""What we refuse and Ansible takes, as the docstring of `connectors.runbook.argument_specs` lists it."""


@dataclass
class Tally:
    """What was compared."""

    specs: int = 0
    options: int = 0
    specs_refused: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    passed: int = 0
    stricter: Counter[str] = field(default_factory=Counter)


def _collections() -> list[Path]:
    found = importlib.util.find_spec("ansible_collections")
    return [] if found is None else [Path(folder) for folder in found.submodule_search_locations or ()]


def _entry_points(folder: Path) -> Iterator[tuple[str, Spec]]:
    """Every entry point of the roles below a folder, with its options."""
    for file in sorted(folder.glob("**/roles/*/meta/*.y*ml")):
        if file.stem not in {"argument_specs", "main"}:
            continue
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name, entry in ((document or {}).get("argument_specs") or {}).items():
            yield f"{file}: {name}", entry.get("options") or {}


def test_every_role_of_the_ansible_package_is_judged_as_ansible_does(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    specs = [found for folder in _collections() for found in _entry_points(folder)]
    assert len(specs) > 20
    tally = _compare(specs)
    record_testsuite_property("compared with Ansible", str(tally))
    assert tally.specs_refused == {}, "a role that Ansible runs must not be refused for how its spec is written"
    assert set(tally.stricter) <= REASONS
    assert tally.passed > tally.calls / 10


def test_our_own_roles_are_judged_as_ansible_does() -> None:
    tally = _compare(list(_entry_points(REPOSITORY / "runbooks")))
    assert tally.specs >= 5
    assert tally.specs_refused == {}
    assert set(tally.stricter) <= REASONS


def test_options_of_the_modules_of_ansible_core_are_judged_as_ansible_does() -> None:
    tally = _compare(list(_modules()))
    assert tally.specs >= 60
    assert sum(tally.specs_refused.values()) <= 5, tally.specs_refused
    assert set(tally.stricter) <= REASONS


def test_specs_made_up_are_judged_as_ansible_does(record_testsuite_property: Callable[[str, object], None]) -> None:
    chance = random.Random(20260801)
    tally = _compare([(f"made up {index}", _made_up(chance, 0)) for index in range(700)])
    record_testsuite_property("compared with Ansible", str(tally))
    assert tally.specs >= 300, tally.specs_refused
    assert tally.calls >= 15_000
    assert set(tally.stricter) == REASONS


def _modules() -> Iterator[tuple[str, Spec]]:
    """The documented options of the modules of ansible-core, as the specs they would be."""
    for file in sorted(Path(ansible.modules.__path__[0]).glob("*.py")):
        found = re.search(r'^DOCUMENTATION = r?"""(.*?)"""', file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        document = yaml.safe_load(found[1]) if found else None
        if document and document.get("options"):
            yield file.stem, _as_spec(document["options"])


def _as_spec(options: Mapping[str, Any]) -> Spec:
    kept = ("type", "elements", "required", "default", "choices", "aliases")
    spec: Spec = {}
    for name, documented in options.items():
        spec[name] = {key: documented[key] for key in kept if key in documented}
        if isinstance(documented.get("choices"), dict):  # what each choice means
            spec[name]["choices"] = list(documented["choices"])
        if documented.get("suboptions"):
            spec[name]["options"] = _as_spec(documented["suboptions"])
    return spec


def _made_up(chance: random.Random, depth: int) -> Spec:
    spec: Spec = {}
    for index in range(chance.randrange(1, 5)):
        kinds = (
            "str",
            "int",
            "float",
            "bool",
            "list",
            "list",
            "list",
            "dict",
            "dict",
            "path",
            "raw",
            "json",
            "jsonarg",
            "bytes",
            "bits",
        )
        kind = chance.choice(kinds)
        option: dict[str, Any] = {} if kind == "str" and chance.random() < 0.3 else {"type": kind}
        if kind == "list" and chance.random() < 0.8:
            option["elements"] = kind = chance.choice(kinds)
        if (kind == "dict" and depth < 3 and chance.random() < 0.7) or (
            kind in {"str", "raw"} and chance.random() < 0.08
        ):
            option["options"] = _made_up(chance, depth + 1)
        elif chance.random() < 0.3:
            option["choices"] = copy.deepcopy(chance.choice(_CHOICES))
        if chance.random() < 0.3:
            option["required"] = True
        elif chance.random() < 0.2:
            fitting = [value for value in _VALUES if not _refusals({"o": {**option, "default": value}}, {})]
            option["default"] = chance.choice(fitting or [None])
        if chance.random() < 0.2:
            option["aliases"] = [f"also_{index}", *([f"old_{index}"] if chance.random() < 0.3 else [])]
        spec[f"option_{index}"] = option
    return spec


_CHOICES: tuple[list[Any], ...] = (
    ["a", "b"], [1, 2], ["1", "2"], [True, False], [False], ["yes", "no"], [0.5, 1], ["a", 1], ["a", None], [],
    ["/tmp", "~/x"], ["/tmp", "/etc"], ["1K", "2M"], [" a ", "a"], ["False", "on"],
)  # fmt: skip
_VALUES: tuple[JsonValue, ...] = (
    "", "a", "b", " a ", "1", "2", "x,y", "a=b", "yes", "True", "False", "/tmp", "/etc", "~/x", "~\0", "$HOME", "{}",
    "[1", '{"a": 1}', "10M", "1K", "2m", "1.5 GB", "1 Gb", "3 megabyte", "5 Megabit", "1B", "1b", "K", "1 X", "9" * 400,
    "é", 0, 1, 2, -1, 10**20, 10**400, 0.5, 1.0, 1.5, True, False, None, [], ["a"], ["a", "b"], [1], [1, "a"], [[]],
    [None], [{}], [True], [0.5], {}, {"a": 1}, {"option_0": 1}, ["1K"], "\n", "a\n",
)  # fmt: skip


def _compare(specs: list[tuple[str, Spec]]) -> Tally:
    """Compare both verdicts on values made up for each spec; any that is laxer fails the test."""
    tally = Tally()
    for name, spec in specs:
        try:
            kind = object_type(OPTIONS.validate_python(copy.deepcopy(spec)))
        except ValidationError as error:
            tally.specs_refused[error.errors()[0]["msg"]] += 1
            continue
        tally.specs += 1
        tally.options += len(spec)
        chance = random.Random(name.rpartition("/")[2])
        for _ in range(CALLS):
            given = _given(spec, chance, broken=chance.choice((0.0, 0.1, 0.4)))
            wrong = check_value(kind, given)
            refusals = _refusals(spec, given)
            told = f"{name}\n{spec}\n{given!r:.2000}"
            tally.calls += 1
            if not wrong:
                tally.passed += 1
                assert not refusals, f"laxer than Ansible: {refusals}\n{told}"
            elif not refusals:
                for mismatch in wrong:
                    reason = _reason(spec, given, mismatch)
                    assert reason is not None, f"stricter than Ansible for no reason named: {mismatch}\n{told}"
                    tally.stricter[reason] += 1
    return tally


def _refusals(spec: Spec, given: dict[str, JsonValue]) -> list[str]:
    try:
        result = ArgumentSpecValidator(copy.deepcopy(spec)).validate(copy.deepcopy(given))
    except (OverflowError, ValueError, TypeError, AttributeError) as error:  # what it does not expect
        return [repr(error)]
    return list(result.error_messages)


def _given(spec: Spec, chance: random.Random, broken: float) -> dict[str, JsonValue]:
    """Arguments for a spec: each part with the chance `broken` is anything at all."""
    made: dict[str, JsonValue] = {}
    for name, option in spec.items():
        if chance.random() < (0.95 if option.get("required") else 0.5):
            names = [name, *option.get("aliases", ())]
            for key in chance.sample(names, 2 if len(names) > 1 and chance.random() < broken / 2 else 1):
                made[key] = _value(option, chance, broken)
    if chance.random() < broken / 2:
        made["unknown"] = 1
    return made


def _value(option: Mapping[str, Any], chance: random.Random, broken: float) -> JsonValue:
    if chance.random() < broken:
        return copy.deepcopy(chance.choice(_VALUES))
    kind = option.get("type", "str")
    if kind == "list":
        loose = option.get("options") and option.get("elements") in {None, "raw", "str"}
        inner = {**option, "type": "dict" if loose else option.get("elements") or "raw", "elements": None}
        return [_value(inner, chance, broken) for _ in range(chance.randrange(3))]
    if option.get("choices"):
        chosen: JsonValue = chance.choice(option["choices"])
        return chosen
    if kind == "dict":
        return _given(option["options"], chance, broken) if option.get("options") else {"any": [1, None]}
    usual: dict[str, tuple[JsonValue, ...]] = {
        "int": (0, 7, -1), "float": (0.5, 2), "bool": (True, False), "raw": ("x", 1, None, [1], {"a": 1}),
        "bytes": ("10M", "1.5 GB", "7"), "bits": ("10M", "1.5 Gb", "7"), "path": ("/tmp/x", "~/x"),
    }  # fmt: skip
    return chance.choice(usual.get(kind, ("x", "", '{"a": 1}')))


def _reason(spec: Spec, given: JsonValue, mismatch: Mismatch) -> str | None:
    """Which of the reasons named applies at the place of a mismatch; None when none does."""
    options: Mapping[str, Any] = spec
    value: JsonValue = given
    option: Mapping[str, Any] = {"type": "dict", "options": spec}
    for token in mismatch.pointer.split("/")[1:]:
        if isinstance(value, list) and option.get("options") and option.get("elements") != "dict":
            return "in a list whose options Ansible does not look at"
        if isinstance(value, list):
            option, value = {**option, "type": option.get("elements", "raw")}, value[int(token)]
        elif isinstance(value, dict):
            options = option.get("options") or {}
            named = next((name for name, found in options.items() if token in (name, *found.get("aliases", ()))), None)
            if named is None:
                return None
            option = options[named]
            if len(value.keys() & {named, *option.get("aliases", ())}) > 1:
                return "given twice"
            value = value.get(token)
    return _reason_here(option, value)


def _reason_here(option: Mapping[str, Any], value: JsonValue) -> str | None:
    kind = option.get("type", "str")
    own: dict[str, tuple[type, ...]] = {
        "int": (int,), "float": (int, float), "bool": (bool,), "list": (list,), "dict": (dict,),
        "raw": (str, int, float, bool, list, dict, type(None)),
    }  # fmt: skip
    if value is None and kind != "raw":
        return "null for nothing"
    if type(value) not in own.get(kind, (str,)):
        return "converted by Ansible"
    if kind in {"bytes", "bits"} and isinstance(value, str) and matches_pattern(r"^[0-9.]+\s*[A-Za-z]*\s*$", value):
        return "a unit written out"
    if option.get("choices") and not any(choice is value for choice in option["choices"]):
        return "a choice after converting"
    return "a choice after converting" if isinstance(value, float) and math.isinf(value) else None
