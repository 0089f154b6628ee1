"""What deploy/ holds is well-formed as far as this machine can tell; it is not run (deploy/README.md says so)."""

import configparser
import importlib.resources
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prefect.cli.deploy._models import PrefectYamlModel  # the reader of `prefect deploy`; Prefect names no public one
from ruamel.yaml import YAML

import needs
from flows.settings import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
CATALOGUE = Path(__file__).parents[3] / "request_models" / "catalogue"
UNITS = sorted(DEPLOY.glob("systemd/*.service"))


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.fixture
def compose() -> dict[str, Any]:
    document = read_yaml(DEPLOY / "compose.yaml")
    assert isinstance(document, dict)
    return document


def names_in(part: object) -> set[str]:
    """The names that a service uses: given as a list of names, of mappings with `source`, or as a mapping."""
    if isinstance(part, dict):
        return set(part)
    assert isinstance(part, list)
    return {entry["source"] if isinstance(entry, dict) else entry.split(":")[0] for entry in part}


def test_the_compose_file_fits_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(compose)


@pytest.mark.parametrize("kind", ["depends_on", "networks", "volumes", "configs", "secrets"])
def test_every_name_that_a_service_uses_is_declared(compose: dict[str, Any], kind: str) -> None:
    declared = set(compose["services"] if kind == "depends_on" else compose[kind])
    for name, service in compose["services"].items():
        assert names_in(service.get(kind, [])) <= declared, name


def test_only_the_proxy_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["proxy"]
    assert compose["networks"]["inside"]["internal"] is True
    assert {name for name, s in compose["services"].items() if "outside" in s["networks"]} == {"proxy", "worker"}


def test_our_containers_have_no_privileges_and_nothing_to_write_on(compose: dict[str, Any]) -> None:
    ours = {name: s for name, s in compose["services"].items() if s["image"].startswith("orderly:")}
    assert set(ours) == {
        "migrate", "publish", "api", "keeper", "worker", "prefect-migrate", "prefect-api", "prefect-services",
    }  # fmt: skip
    for name, service in ours.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_prefect_is_scaled_out_as_prefect_says(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "--no-services" in services["prefect-api"]["command"]
    assert services["prefect-services"]["command"] == ["server", "services", "start"]
    for name in ("prefect-api", "prefect-services"):
        assert services[name]["environment"]["PREFECT_MESSAGING_BROKER"] == "prefect_redis.messaging"


ASK_PREFECT = """
import importlib, json
from prefect.settings import get_current_settings
from prefect_redis.client import RedisMessagingSettings
server = get_current_settings().server
modules = [server.events.messaging_broker, server.events.messaging_cache, server.events.causal_ordering,
           server.concurrency.lease_storage]
for name in modules:
    importlib.import_module(name)
print(json.dumps({"modules": modules, "redis": RedisMessagingSettings().host, "analytics": server.analytics_enabled,
    "migrates": server.database.migrate_on_start, "auth": server.api.auth_string.get_secret_value()}))
"""


def test_prefect_takes_the_variables_of_the_compose_file_as_they_are_meant(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    variables = {
        name: re.sub(r"\$\{(\w+)[^}]*\}", r"\1", value)
        for name, value in compose["services"]["prefect-api"]["environment"].items()
    }
    asked = subprocess.run(
        [sys.executable, "-P", "-c", ASK_PREFECT],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path), **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout) == {
        "modules": [
            "prefect_redis.messaging",
            "prefect_redis.messaging",
            "prefect_redis.ordering",
            "prefect_redis.lease_storage",
        ],
        "redis": "redis",
        "analytics": False,
        "migrates": False,
        "auth": "PREFECT_AUTH",
    }


def test_the_example_environment_names_every_variable_of_the_compose_file() -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    named = set(re.findall(r"^([A-Z0-9_]+)=", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert used == named


def test_docker_reads_the_compose_file(tmp_path: Path) -> None:
    docker = needs.program("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here; CI may go without, since the schema is checked above")
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder)
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    (folder / ".env").write_text(re.sub(r"=$", "=x", example, flags=re.MULTILINE), encoding="utf-8")
    done = subprocess.run(
        [docker, "compose", "config", "--quiet"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_prefect_reads_its_project_file_and_finds_every_shipped_model_there() -> None:
    project = PrefectYamlModel.model_validate(read_yaml(DEPLOY / "prefect.yaml"))
    shipped = {path.stem for path in CATALOGUE.glob("*.yaml")}
    assert {deployment.name for deployment in project.deployments} == shipped
    for deployment in project.deployments:
        assert deployment.entrypoint == f"flows.entry.{deployment.name}"
        assert deployment.work_pool is not None
        assert deployment.work_pool.name == "orderly"


def test_the_example_settings_are_settings() -> None:
    settings = Settings(**read_yaml(DEPLOY / "settings.example.yaml"))
    assert settings.environment == "prod"
    assert settings.keyring is not None
    assert not settings.keyring.is_relative_to(settings.state)


def test_the_image_runs_as_an_ordinary_user_and_installs_by_hash_only() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER orderly"]
    for line in lines:
        if "pip install" in line:
            assert "--require-hashes" in line or "--no-index" in line


@pytest.mark.parametrize("unit", UNITS, ids=[unit.stem for unit in UNITS])
def test_systemd_reads_the_unit(unit: Path, tmp_path: Path) -> None:
    needs.require("systemd")
    # verify wants the program to be there; which one it is, the next test looks at.
    for each in UNITS:  # units name one another
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", each.read_text(), flags=re.MULTILINE)
        (tmp_path / each.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert said == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=[unit.stem for unit in UNITS])
def test_the_unit_starts_a_part_of_orderly_without_privileges(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # keys of units keep their capitals
    parsed.read(unit)
    service = parsed["Service"]
    assert service["ExecStart"] == f"/opt/orderly/bin/orderly {unit.stem.removeprefix('orderly-')}"
    assert service["User"] == "orderly"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
