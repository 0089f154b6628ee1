"""How long the compiler takes, as figures seen on this machine and as ratios within the same run.

A thousand models of eight steps are checked cold, again unchanged, and with one edited among them; the plainest thing
that could be done with the same files, reading each with the YAML parser alone, is the baseline. `--json FILE` writes
the figures, to compare with another version.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.models import write_models

BASELINE = """
import pathlib, sys
from ruamel.yaml import YAML
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    YAML(typ="safe", pure=True).load(file.read_text())
"""


@dataclass(frozen=True)
class Figure:
    """One measurement: wall-clock seconds, processor seconds of the process, and its largest memory in MB."""

    name: str
    seconds: float
    processor: float
    megabytes: float


def measured(name: str, command: Sequence[str], state: Path) -> Figure:
    """Run a command to its end and measure it. Raises CalledProcessError when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    environment = {**os.environ, "ORDERLY_STATE": str(state)}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figure(name, seconds, used, after.ru_maxrss / 1024)


def measure(folder: Path, count: int) -> list[Figure]:
    """Check so many models cold, unchanged, and with one edited."""
    models, state = folder / "models", folder / "state"
    edited = write_models(models, count)
    check = [str(Path(sys.executable).with_name("orderly")), "check", str(models)]
    figures = [
        measured("YAML parser alone", [sys.executable, "-c", BASELINE, str(models)], state),
        measured("checked cold", check, state),
        measured("unchanged, again", check, state),
    ]
    edited.write_text(edited.read_text().replace("Bucket number", "Bucket no."))
    figures.append(measured("one edited among them", check, state))
    return figures


def show(figures: Sequence[Figure], models: int) -> None:
    """The table; the ratio is to the baseline, in wall-clock time."""
    base = figures[0].seconds
    lines = [f"{models} models of 8 steps, {os.cpu_count()} processors"]
    lines.append(f"{'':24} {'wall s':>8} {'CPU s':>8} {'MB':>6} {'ratio':>7}")
    for one in figures:
        times = f"{one.seconds:8.2f} {one.processor:8.2f}"
        lines.append(f"{one.name:24} {times} {one.megabytes:6.0f} {one.seconds / base:7.2f}")
    sys.stdout.write("\n".join(lines) + "\n")
