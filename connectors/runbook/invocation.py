"""How Ansible is started for a run: its command, and an environment that holds what a run needs and nothing else."""

import os
import sys
from pathlib import Path

from ansible_runner import RunnerConfig
from ansible_runner.utils import get_callback_dir

from connectors.run_folders import END_VARIABLE, RunFolder
from connectors.run_supervisor import ENDED
from connectors.runbook.content import SHIPPED
from connectors.runbook.settings import RunbookSettings

LOOK_EVERY = 0.2
"""Seconds between two looks at timeout and cancel."""

PROJECT = "project"
CLEAN_UP = SHIPPED / "playbooks" / "end_run.yml"
"""Ends on hosts what carries a mark. It has no meta, so that it is no action."""

_PLUGINS = SHIPPED / "plugins"
_PLUGIN_VARIABLES = {
    "action": "ANSIBLE_ACTION_PLUGINS",
    "become": "ANSIBLE_BECOME_PLUGINS",
    "callback": "ANSIBLE_CALLBACK_PLUGINS",
    "connection": "ANSIBLE_CONNECTION_PLUGINS",
    "filter": "ANSIBLE_FILTER_PLUGINS",
    "lookup": "ANSIBLE_LOOKUP_PLUGINS",
    "module_utils": "ANSIBLE_MODULE_UTILS",
    "modules": "ANSIBLE_LIBRARY",
    "test": "ANSIBLE_TEST_PLUGINS",
    "vars": "ANSIBLE_VARS_PLUGINS",
}
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TZ", "SSH_AUTH_SOCK")
_EMPTY_INVENTORY = "all:\n  hosts: {}\n"


def runner_config(
    run: RunFolder, settings: RunbookSettings, socket: Path, *, playbook: str, limit: str | None, check: bool
) -> RunnerConfig:
    """What ansible-runner needs for one playbook below `folder`'s project, on the hosts of `limit`.

    Without a limit the inventory is left out, so that nothing but the implicit localhost is there to be acted on.
    """
    folder = run.path
    no_hosts = folder / "inventory" / "none.yml"
    no_hosts.parent.mkdir(mode=0o700)
    no_hosts.write_text(_EMPTY_INVENTORY, encoding="utf-8")
    inventory = [str(no_hosts)] if limit is None else [str(path) for path in settings.inventory]
    config = RunnerConfig(
        private_data_dir=str(folder),
        project_dir=str(folder / PROJECT),
        playbook=f"playbooks/{playbook}.yml",
        inventory=inventory,
        limit="localhost" if limit is None else limit,
        ident=folder.name,
        forks=settings.forks,
        cmdline="--check --diff" if check else None,
        fact_cache_type="memory",
    )
    config.prepare()
    config.command = run.supervised([*_ansible_playbook(), *config.command[1:]])
    # The runner copies our whole environment and writes it into a file: give it only what a run needs.
    config.env = {**_environment(folder, settings), **_runner_environment(folder, socket)}
    config.pexpect_timeout = LOOK_EVERY
    config.suppress_ansible_output = True
    config.suppress_output_file = True
    return config


def tell_how_to_end(run: RunFolder, settings: RunbookSettings, pattern: str) -> None:
    """Keep with a run how all that carries a mark of this pattern is ended on hosts.

    By the same inventory and keys, over connections of its own: those of the run may hang.
    """
    inventory = [part for path in settings.inventory for part in ("--inventory", str(path))]
    command = [*_ansible_playbook(), str(CLEAN_UP), *inventory, "--forks", str(max(settings.forks, 50))]
    environment = {
        **_environment(run.path, settings),
        END_VARIABLE: pattern,
        "ORDERLY_ENDED": str(run.path / ENDED),
        "ANSIBLE_STDOUT_CALLBACK": "orderly_ended",
        "ANSIBLE_SSH_ARGS": " ".join(["-o ControlMaster=no", *_ssh_arguments(settings)]),
    }
    run.tell_how_to_end(command, environment)


def _ansible_playbook() -> list[str]:
    # -P: a folder of the runbooks must never hide a module of ours or Ansible's.
    return [sys.executable, "-P", "-m", "ansible", "playbook"]


def _environment(folder: Path, settings: RunbookSettings) -> dict[str, str]:
    project = folder / PROJECT
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    plugins = {
        variable: os.pathsep.join([str(_PLUGINS / part), str(project / "plugins" / part)])
        for part, variable in _PLUGIN_VARIABLES.items()
    }
    return {
        **passed,
        **plugins,
        **_ssh_environment(folder, settings),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_CONFIG": str(SHIPPED / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_ROLES_PATH": str(project / "roles"),
        "ANSIBLE_NOCOLOR": "1",
        # The last one wins among these, so that ours beats the variables of hosts and groups.
        "ANSIBLE_VARS_ENABLED": "host_group_vars,orderly_arguments",
    }


def _runner_environment(folder: Path, socket: Path) -> dict[str, str]:
    """What ansible-runner and our plugins need on top. The supervisor adds the run's mark, which it must not carry."""
    own_callbacks = [str(_PLUGINS / "callback"), str(folder / PROJECT / "plugins" / "callback")]
    return {
        "ORDERLY_RUN_SOCKET": str(socket),
        # ansible-runner's callback extends the one named ORIGINAL.
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join([*own_callbacks, get_callback_dir()]),
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
        "ORIGINAL_STDOUT_CALLBACK": "orderly_run",
        "AWX_ISOLATED_DATA_DIR": str(folder / "artifacts" / folder.name),
    }


def _ssh_environment(folder: Path, settings: RunbookSettings) -> dict[str, str]:
    ssh = settings.ssh
    environment = {
        "ANSIBLE_SSH_ARGS": " ".join([*_multiplexing(folder), *_ssh_arguments(settings)]),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_TIMEOUT": str(ssh.connect_seconds),
    }
    if ssh.user is not None:
        environment["ANSIBLE_REMOTE_USER"] = ssh.user
    if ssh.private_key_file is not None:
        environment["ANSIBLE_PRIVATE_KEY_FILE"] = str(ssh.private_key_file)
    return environment


def _ssh_arguments(settings: RunbookSettings) -> list[str]:
    known_hosts = settings.ssh.known_hosts_file
    return ["-o BatchMode=yes", *([] if known_hosts is None else [f"-o UserKnownHostsFile={known_hosts}"])]


def _multiplexing(folder: Path) -> list[str]:
    # ssh adds 10 characters of Ansible's and 17 of its own to the folder, and a socket's address holds 107.
    if len(os.fsencode(folder / "cp")) > 107 - 30:
        return ["-o ControlMaster=no"]
    return ["-o ControlMaster=auto", "-o ControlPersist=60s"]
