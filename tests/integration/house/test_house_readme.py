"""What the README shows is so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model shown, in a file of the name that the text gives it."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "bucket-for-logs.yaml"
    file.write_text(shown, encoding="utf-8")
    return file


def orderly(*arguments: object, state: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "flows.cli", *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "ORDERLY_STATE": str(state), "COLUMNS": "200", "LANG": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_the_model_shown_is_right(model: Path, tmp_path: Path) -> None:
    checked = orderly("check", model, state=tmp_path / "state")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_misspelt_argument_is_named_with_its_place_and_what_was_meant(model: Path, tmp_path: Path) -> None:
    model.write_text(model.read_text(encoding="utf-8").replace("Bucket:", "Buckett:", 1), encoding="utf-8")
    checked = orderly("check", model, state=tmp_path / "state")
    assert checked.returncode == 1
    assert re.search(r"bucket-for-logs\.yaml:\d+:\d+", checked.stdout)
    assert "Buckett" in checked.stdout
    assert "Bucket" in checked.stdout.replace("Buckett", "")


def test_the_order_shown_fits_the_model(model: Path, tmp_path: Path) -> None:
    (body,) = re.findall(r'^(\{"model": .*\})$', README, re.MULTILINE)
    order = json.loads(body)
    shown = json.loads(orderly("show", model, "--json", state=tmp_path / "state").stdout)
    assert order["model"] == "bucket-for-logs"
    assert f'"{next(iter(order["inputs"]))}"' in json.dumps(shown)


def test_every_link_to_a_file_leads_to_one() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in (README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        assert set(re.findall(r"\bmake ([a-z][a-z-]+)", page)) <= targets
