"""`make bench`: figures seen on this machine, held against baselines of the same run; `--json FILE` keeps them."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import compiling, fulfilling
from bench.histories.__main__ import main as review


def main() -> None:
    """Measure, and print a table for each section; with `review` first, measure that (see `bench.histories`)."""
    if sys.argv[1:2] == ["review"]:
        review(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=["compiling", "fulfilling"], help="one section; by default all")
    parser.add_argument("--models", type=int, default=1000, help="models that are compiled")
    parser.add_argument("--requests", type=int, default=20, help="requests that are fulfilled one by one")
    parser.add_argument("--baseline", type=int, default=4, help="the same for the stock worker; 0: none")
    parser.add_argument("--burst", type=int, default=40, help="requests that are ordered at once")
    parser.add_argument("--settings", default="", help="a line of Orderly's settings, such as 'worker: {warm: false}'")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    wanted = parser.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="orderly-bench-") as folder:
        if wanted.only in {None, "compiling"}:
            figures = compiling.measure(Path(folder), wanted.models)
            compiling.show(figures, wanted.models)
            found["compiling"] = [vars(figure) for figure in figures]
        if wanted.only in {None, "fulfilling"}:
            both = fulfilling.measure(
                Path(folder),
                requests=wanted.requests,
                baseline=wanted.baseline,
                burst=wanted.burst,
                settings=wanted.settings,
            )
            fulfilling.show(*both)
            found["fulfilling"] = fulfilling.as_json(both)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
