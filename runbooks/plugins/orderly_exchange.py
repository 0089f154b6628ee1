# Part of Orderly. Copyright the Orderly contributors.
# GNU General Public License v3.0 or later (see runbooks/plugins/LICENSE)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private talk between a run and the engine that started it: one JSON line each way over a Unix socket.

Arguments, secrets and outputs go this way only, so none of them is ever on disk, on a command line or in an
environment. The socket's path is all that the environment holds.
"""

from __future__ import annotations

import json
import os
import socket
import typing as t

SOCKET_VARIABLE = "ORDERLY_RUN_SOCKET"


def is_orderly_run() -> bool:
    """Whether this Ansible was started by Orderly, and not by hand."""
    return SOCKET_VARIABLE in os.environ


def ask(**question: t.Any) -> t.Any:
    """Send one question and return its answer; OSError or ValueError when the engine is gone."""
    folder, name = os.path.split(os.environ[SOCKET_VARIABLE])
    # A socket's address holds 107 bytes and a state folder may lie deeper: go by the open folder instead.
    folder_fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(f"/proc/self/fd/{folder_fd}/{name}")
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as stream:
                return json.loads(stream.readline())
    finally:
        os.close(folder_fd)
