"""The tutorial, followed to the letter: in a fresh folder and a HOME of its own, to a request that is fulfilled."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import pytest

from fenced import Block, Command, blocks_of, commands_of, missing_line
from flows.supervision import sweep
from waiting import wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(900)]

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BIN = Path(sys.executable).parent
ANY_PORTS = "--port 0 --prefect-port 0"
START_SECONDS = 300.0
"""Long, because tests of other tiers may run beside it; a quiet machine needs ten."""
REQUEST_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
ON_HOLD = re.compile(rf"request ({REQUEST_ID.pattern}) is on_hold")


@dataclass
class Reader:
    """Somebody who types what the tutorial says. Where a terminal is, and what was exported there, is kept in files."""

    home: Path
    on_hold: str = "ID"
    """What the tutorial calls ID: the request that was last said to be on hold."""
    background: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.home / "here").write_text(str(self.home))
        (self.home / "exported").touch()

    @property
    def folder(self) -> Path:
        """The folder that the reader is in."""
        return Path((self.home / "here").read_text().strip())

    def save(self, block: Block) -> None:
        (self.folder / block.file).write_text(block.text, encoding="utf-8")

    def type(self, command: Command, exit_code: int) -> None:
        """Type a command, and compare what it says with what is shown."""
        typed = re.sub(r"\bID\b", self.on_hold, command.typed)
        keep = f"status=$?; export -p > {quote(str(self.home / 'exported'))}; pwd > {quote(str(self.home / 'here'))}"
        done = subprocess.run(
            ["bash", "-c", f"{self._opened()}\n{typed}\n{keep}; exit $status"],
            env=self._environment(), cwd=self.folder, text=True, timeout=START_SECONDS, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == exit_code, f"$ {typed}\n{done.stdout}"
        self._compare(command, done.stdout)
        if found := ON_HOLD.search(done.stdout):
            self.on_hold = found[1]

    def start(self, commands: list[Command]) -> None:
        """Type commands in a second terminal, the last of which stays; go on when it shows what it should."""
        output = self.home / "second-terminal"
        typed = [re.sub(r"^(orderly up)\b", rf"exec \1 {ANY_PORTS}", command.typed) for command in commands]
        with output.open("wb") as stream:
            process = subprocess.Popen(
                ["bash", "-c", "\n".join(typed)],
                env=self._environment(), cwd=self.folder, process_group=0,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
        self.background.append(process)

        def look() -> bool:
            return process.poll() is not None or missing_line(commands[-1].shown, output.read_text()) is None

        wait_until(f"`{typed[-1]}` shows what the tutorial shows", look, deadline=START_SECONDS)
        assert process.poll() is None, f"`{typed[-1]}` ended: {output.read_text()}"

    def leave(self) -> None:
        """Ctrl-C in the second terminal."""
        for process in self.background:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0

    def _opened(self) -> str:
        return f". {quote(str(self.home / 'exported'))}"

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(
            [str(BIN), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"]
        )
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "COLUMNS": "400"}

    def _compare(self, command: Command, output: str) -> None:
        shown = tuple(re.sub(r"\bID\b", self.on_hold, line) for line in command.shown)
        line = missing_line(shown, output)
        assert line is None, f"$ {command.typed}\nhas not the line\n{line}\nbut\n{output}"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    for process in reader.background:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    sweep(str(tmp_path / ".local" / "state" / "orderly"))


def test_who_follows_the_tutorial_has_a_request_fulfilled(reader: Reader) -> None:
    for block in blocks_of(TUTORIAL):
        match block.kind, block.note:
            case "yaml", _:
                assert block.file, f"{block} is in no file"
                reader.save(block)
            case "console", "second terminal":
                reader.start(commands_of(block))
            case "console", note:
                *first, last = commands_of(block)
                for command in first:
                    reader.type(command, 0)
                reader.type(last, int(note.removeprefix("exit code ") or 0))
            case _:
                assert block.kind == "sh", f"{block}: what is this?"
    reader.leave()
    assert reader.on_hold != "ID"
