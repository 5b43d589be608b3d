#!/usr/bin/env python3
"""`mentor next` beside random choice: accuracy of a head with 1, 2, 5, 10 and 20 labels a class on average.

    mentor embed --backbone lite0.pth photos/ --out f.npy --labels y.npy       once a data set
    cargo build --release -p mentor-labels --example measure
    bench/labels.py --features f.npy --labels y.npy                            one line a method

Each seed divides the images anew: two thirds to choose from (at most 4,000), a third to judge on (at most 2,000).
`typical` chooses all labels of a budget at once. `next` is as a person asks: the first budget without a classifier,
and each further one by `mixed`, with a head of the labels before. In brackets is the mean difference from random over
the seeds, with its 95 % interval (Student's t). Needs numpy. --smallest-class leaves out classes with fewer images.
"""

import argparse
import csv
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("random", "typical", "next")
# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 19: 2.093}


def measured(args: argparse.Namespace) -> dict[tuple[str, int], numpy.ndarray]:
    """The accuracies of each method and budget, one a seed."""
    features, labels = numpy.load(args.features), numpy.load(args.labels).astype(int)
    keep = numpy.bincount(labels)[labels] >= args.smallest_class
    features, labels = features[keep], numpy.unique(labels[keep], return_inverse=True)[1]
    num_classes = int(labels.max()) + 1
    print(f"{len(labels)} images of {num_classes} classes, seeds {args.first_seed} and {args.seeds - 1} more")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("features.f32", "labels.u32")]
        features.astype("<f4").tofile(files[0])
        labels.astype("<u4").tofile(files[1])
        numbers = [features.shape[1], num_classes, args.first_seed, args.seeds]
        command = [args.measure, "curve", *files, *numbers]
        said = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    found = defaultdict(list)
    for row in csv.DictReader(said.splitlines()):
        found[row["method"], int(row["per_class"])].append(float(row["accuracy"]))
    return {key: numpy.array(accuracies) for key, accuracies in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, default=ROOT / "target/release/examples/measure", help="[%(default)s]")
    parser.add_argument("--features", type=Path, required=True, help="npy, [N, D]")
    parser.add_argument("--labels", type=Path, required=True, help="npy, [N]")
    parser.add_argument("--smallest-class", type=int, default=1, metavar="COUNT", help="[%(default)s]")
    parser.add_argument("--first-seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--seeds", type=int, default=10, choices=sorted(n + 1 for n in STUDENT), help="[%(default)s]")
    args = parser.parse_args()
    found = measured(args)
    budgets = sorted({budget for _, budget in found})
    print("| labels a class | " + " | ".join(map(str, budgets)) + " |\n|---" + "|---" * len(budgets) + "|")
    for method in METHODS:
        cells = []
        for budget in budgets:
            own, more = found[method, budget], found[method, budget] - found["random", budget]
            half = STUDENT[args.seeds - 1] * more.std(ddof=1) / args.seeds**0.5
            cells.append(f"{own.mean():.3f}" + (f" ({more.mean():+.3f} ± {half:.3f})" if method != "random" else ""))
        print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
