"""The wheel, installed from the lock into an environment of its own, works where no clone is."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(900)]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing but what is in the wheel's own lists can get in, and nothing is left here."""
    source = tmp_path_factory.mktemp("source") / "orderly"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "dist"))
    made = tmp_path_factory.mktemp("wheel")
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", made, source)
    return next(made.glob("orderly-*.whl"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with what is deployed, and the wheel; in it no tool for development."""
    venv = tmp_path_factory.mktemp("elsewhere") / "venv"
    python("-m", "venv", venv)
    inside = venv / "bin" / "python"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    python(*pip, "--require-hashes", "-r", ROOT / "deploy" / "requirements.lock", interpreter=inside)
    python(*pip, wheel, interpreter=inside)
    return venv


def python(*arguments: object, interpreter: Path = Path(sys.executable)) -> str:
    done = subprocess.run(
        [interpreter, *map(str, arguments)], capture_output=True, text=True, check=False, cwd="/", timeout=800
    )
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def run(elsewhere: Path, tmp_path: Path) -> Run:
    """Run a program of that environment in an empty folder, with a HOME of its own and nothing else set."""
    home = tmp_path / "home"
    home.mkdir()
    environment: Mapping[str, str] = {
        "PATH": os.pathsep.join([str(elsewhere / "bin"), "/usr/bin", "/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
    }

    def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [elsewhere / "bin" / program, *arguments],
            capture_output=True, text=True, check=False, cwd=home, env=environment, timeout=120,
        )  # fmt: skip

    return run


def test_the_wheel_holds_what_is_not_python_too(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for wanted in (
        "request_models/catalogue/project-bucket.yaml",
        "request_models/catalogue/linux-account.yaml",
        "request_models/catalogue/project-space.yaml",
        "connectors/aws/effects.yaml",
        "runbooks/ansible.cfg",
        "runbooks/plugins/LICENSE",
    ):
        assert wanted in names, wanted
    for part in ("runbooks/playbooks/", "runbooks/roles/", "runbooks/plugins/", "flows/records/migrations/versions/"):
        assert any(name.startswith(part) for name in names), part
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "request_models", "connectors", "flows", "runbooks",
    }  # fmt: skip


def test_its_modules_come_from_itself(run: Run, elsewhere: Path) -> None:
    asked = run("python", "-c", "import request_models, connectors, flows, flows.cli; print(flows.cli.__file__)")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith(str(elsewhere))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], "orderly 0.1"),
        (["check"], "3 of 3 models are right"),
        (["show", "project-bucket"], "project-bucket"),
        (["show", "project-space", "--stage", "resolved"], "project-space"),
    ],
    ids=["version", "check", "show", "show-a-stage"],
)
def test_its_commands_work_in_an_empty_folder(run: Run, arguments: list[str], expected: str) -> None:
    done = run("orderly", *arguments)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout + done.stderr


def test_our_worker_is_known_to_prefect(run: Run) -> None:
    asked = run(
        "python", "-c",
        "import importlib.metadata as m; print(*(e.value for e in m.entry_points(group='prefect.collections')))",
    )  # fmt: skip
    assert "flows.worker" in asked.stdout
