"""The locks pin everything by hash and name no index; the one for deployment is a part of the other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements.lock"
RUNTIME_LOCK = ROOT / "deploy" / "requirements.lock"


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Of each distribution: its version and its hashes."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in joined.splitlines():
        requirement = line.split(" #")[0].strip()
        if not requirement or requirement.startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;]+)", requirement)
        assert match, f"{lock.name} has a line that pins nothing: {requirement[:80]}"
        found[match[1]] = (match[2], frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", requirement)))
    return found


@pytest.mark.parametrize("lock", [LOCK, RUNTIME_LOCK], ids=["development", "deployment"])
def test_every_pin_has_a_hash(lock: Path) -> None:
    assert pins(lock)
    assert [name for name, (_, hashes) in pins(lock).items() if not hashes] == []


@pytest.mark.parametrize("lock", [LOCK, RUNTIME_LOCK], ids=["development", "deployment"])
def test_no_address_of_an_index_or_of_a_file_stands_in_a_lock(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r"\w+://\S+|--[a-z-]*index[a-z-]*|--find-links|--trusted-host| @ ", text) == []


def test_what_is_deployed_is_a_part_of_what_is_tested() -> None:
    tested, deployed = pins(LOCK), pins(RUNTIME_LOCK)
    assert {name: pin for name, pin in deployed.items() if tested.get(name) != pin} == {}


def test_nothing_for_tests_alone_is_deployed() -> None:
    assert (
        set(pins(RUNTIME_LOCK)) & {"pytest", "mypy", "ruff", "moto", "playwright", "hypothesis", "ansible-lint"}
        == set()
    )
