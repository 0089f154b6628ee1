# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts inside the namespaces of a running process, which stand in for a host."""

from __future__ import annotations

import shlex
import subprocess
import typing as t
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection.local import Connection as LocalConnection

DOCUMENTATION = """
    name: orderly_namespace
    short_description: Hosts that are Linux namespaces on this machine
    version_added: "0.1.0"
    description:
      - Enters the mount, process, host name and IPC namespaces of a process that runs here, with C(nsenter).
      - A stand-in for a host where there is no virtual machine; Orderly's sandbox is made of these.
    options:
      host_pid_file:
        description:
          - File with the id of a process of the host. A second word, if there, is its start time (field 22 of
            C(/proc/PID/stat)), which tells it from a later process that got the same id.
        required: true
        type: path
        vars:
          - name: orderly_host_pid_file
    extends_documentation_fragment:
      - connection_pipelining
"""

NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--root", "--wd")
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8")
"""All that a command inside gets of the environment, as over ssh."""

START_TIME = 22 - 3
"""Field 22 of /proc/PID/stat, counted after the command's name, which may hold blanks."""


class Connection(LocalConnection):
    """The local connection, with each command run inside."""

    transport = "orderly_namespace"
    has_pipelining = True

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run one shell command inside."""
        inside = shlex.join([*self._enter(), "/bin/sh", "-c", cmd])
        return super().exec_command(f"exec {inside}", in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file in."""
        if not Path(in_path).exists():
            raise AnsibleFileNotFound(f"{in_path} does not exist, so it cannot be copied to the host")
        with Path(in_path).open("rb") as source:
            self._copy(["/bin/sh", "-c", 'cat > "$1"', "sh", out_path], stdin=source)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file out."""
        with Path(out_path).open("wb") as target:
            self._copy(["cat", "--", in_path], stdin=subprocess.DEVNULL, stdout=target)

    def _copy(self, command: list[str], **streams: t.Any) -> None:
        ended = subprocess.run([*self._enter(), *command], stderr=subprocess.PIPE, check=False, **streams)
        if ended.returncode != 0:
            message = ended.stderr.decode(errors="replace").strip()
            raise AnsibleError(f"copying to or from the host {self._host_name()} failed: {message}")

    def _enter(self) -> list[str]:
        process = self._process()
        same_users = Path(f"/proc/{process}/ns/user").samefile("/proc/self/ns/user")
        users = [] if same_users else ["--user"]
        return ["env", "-i", *ENVIRONMENT, "nsenter", "--target", str(process), *users, *NAMESPACES, "--"]

    def _process(self) -> int:
        file = self.get_option("host_pid_file")
        try:
            pid, *started = Path(file).read_text(encoding="ascii").split()
            stat = Path(f"/proc/{int(pid)}/stat").read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            raise AnsibleConnectionFailure(f"the host {self._host_name()} is not running: {error}") from error
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX" or (started and started[0] != fields[START_TIME]):
            raise AnsibleConnectionFailure(f"the host {self._host_name()} is not running: its process {pid} has ended")
        return int(pid)

    def _host_name(self) -> str:
        return str(self._play_context.remote_addr)
