"""The house keeps its own rules: names that hide nothing, plugins that stand apart, no trace of one machine."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
IMPORT_ROOTS = ("request_models", "connectors", "flows")


def modules_directly_in(root: str) -> Iterator[str]:
    for entry in (ROOT / root).iterdir():
        if entry.name.startswith((".", "_")):
            continue
        if entry.suffix == ".py" or (entry.is_dir() and any(entry.glob("*.py"))):
            yield entry.stem


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("root", IMPORT_ROOTS)
def test_no_module_directly_in_a_root_takes_the_name_of_a_standard_library_module(root: str) -> None:
    assert set(modules_directly_in(root)) & set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("root", IMPORT_ROOTS)
def test_no_module_directly_in_a_root_takes_the_name_of_a_dependency(root: str) -> None:
    ours = {*IMPORT_ROOTS, "runbooks"}
    dependencies = set(importlib.metadata.packages_distributions()) - ours
    assert set(modules_directly_in(root)) & dependencies == set()


def test_the_import_roots_themselves_hide_nothing() -> None:
    for root in (*IMPORT_ROOTS, "runbooks"):
        assert root not in sys.stdlib_module_names
        assert set(importlib.metadata.packages_distributions().get(root, [])) <= {"orderly"}


def test_runbooks_import_nothing_of_ours() -> None:
    offenders = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files("runbooks")
        for name in imported_names(path)
        if name.split(".")[0] in IMPORT_ROOTS
    ]
    assert offenders == []


def test_nothing_imports_the_ansible_plugins() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in python_files(*IMPORT_ROOTS, "tests")
        for name in imported_names(path)
        if name.split(".")[0] == "runbooks"
    ]
    assert offenders == []


def test_every_ansible_plugin_says_that_it_is_under_the_gpl() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files("runbooks/plugins")
        if "GPL-3.0-or-later" not in "\n".join(path.read_text(encoding="utf-8").splitlines()[:10])
    ]
    assert silent == []


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [str(p.relative_to(ROOT)) for p in python_files(*IMPORT_ROOTS) if p.stem in drawers] == []
