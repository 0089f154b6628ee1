"""`make bench ARGS="review"`: what the review finds of planted defects, and in histories without any.

Each figure stands with the number of histories it is of.
"""

import argparse
import sys
import time

from bench.histories.scoring import Score, nulls, score
from flows.review.detectors import NAMES
from flows.review.gates import shipped


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench review", description=__doc__)
    parser.add_argument("--histories", type=int, default=20, help="planted histories, of each detector, size and n")
    parser.add_argument("--nulls", type=int, default=200, help="histories without a defect")
    parser.add_argument("--detector", action="append", choices=NAMES)
    wanted = parser.parse_args(arguments)
    gates, began = shipped(), time.perf_counter()
    sums: dict[str, list[Score]] = {}
    sys.stdout.write(f"{'':26} {'near n=500':>18} {'near n=200':>18} {'twice n=200':>18}   (recall/other findings)\n")
    for name in wanted.detector or NAMES:
        cells: list[str] = []
        for place, (size, count) in enumerate((("near", 500), ("near", 200), ("twice", 200))):
            effect = dict(getattr(gates.detectors[name], size))
            given = effect.pop("n", count)
            # a gate's own n counts decisions, of which a request has one
            first = 1_000 * NAMES.index(name) + place * 300  # no two cells of the table share a seed
            one = score(name, effect, int(given), range(first, first + wanted.histories), gates)
            sums.setdefault(f"{size} {count}", []).append(one)
            cells.append(f"{one.recall:12.2f}/{one.others:<5}")
            cells += [f"[{other}]" for other in one.names]
        sys.stdout.write(f"{name:26} {' '.join(cells)}\n")
        sys.stdout.flush()
    for what, scores in sums.items():
        found, others = sum(one.found for one in scores), sum(one.others for one in scores)
        of = sum(one.histories for one in scores)
        sys.stdout.write(
            f"{what}: recall {found / of:.3f}, precision {found / max(1, found + others):.3f} ({of} histories)\n"
        )
    for count in (500, 200):
        wrong = [(seed, found) for seed, found in nulls(count, range(wanted.nulls), gates) if found]
        sys.stdout.write(f"no defect, n={count}: {len(wrong)} of {wanted.nulls} have a finding\n")
        for seed, findings in wrong:
            sys.stdout.write(f"  seed {seed}: {', '.join(f'{one.detector} {one.edit.path}' for one in findings)}\n")
    sys.stdout.write(f"{time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
