#!/usr/bin/env python3
"""Suspects of mentor beside cleanlab's, by the same rule on the same probabilities, and how many are right.

    cargo build --release -p mentor-labels --example measure
    reference/label_errors.py --measure target/release/examples/measure --idx DIR
    reference/label_errors.py --measure ... --features f.npy --labels y.npy

--idx is a folder with Fashion-MNIST's training files, whose pixels are the features; or --features and
--labels are files of `mentor embed --backbone FILE photos/ --out f.npy --labels y.npy`. 5 % of the labels are
changed: to any other class, or to the class that a model without them confuses most with the right one. Of
mentor's first n suspects, n being the number of changed labels, the share that was changed is the precision.
Needs numpy and cleanlab==2.9.0.
"""

import argparse
import csv
import gzip
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
from cleanlab.filter import find_label_issues


def idx(path: Path) -> numpy.ndarray:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = [int.from_bytes(data[4 + 4 * axis:8 + 4 * axis], "big") for axis in range(data[3])]
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def measured(measure: Path, features: numpy.ndarray, labels: numpy.ndarray, folds: int, work: Path):
    """Out-of-sample probabilities, suspects and what the program says of its time."""
    features.astype("<f4").tofile(work / "features.f32")
    labels.astype("<u4").tofile(work / "labels.u32")
    num_classes = int(labels.max()) + 1
    command = [measure, "suspects", work / "features.f32", work / "labels.u32", str(features.shape[1]),
               str(num_classes), str(folds), work]
    said = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    probabilities = numpy.fromfile(work / "probabilities.f32", "<f4").reshape(-1, num_classes)
    with open(work / "suspects.csv", newline="") as file:
        return probabilities, list(csv.DictReader(file)), said.strip().replace("\n", "; ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--measure", type=Path, required=True)
    parser.add_argument("--idx", type=Path)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if args.idx:
        found = {name: next(args.idx.glob(f"train-{name}*")) for name in ["images", "labels"]}
        features = idx(found["images"]).reshape(-1, 784) / numpy.float32(255)
        truth = idx(found["labels"]).astype(int)
    else:
        features, truth = numpy.load(args.features), numpy.load(args.labels)
    num_classes = truth.max() + 1
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clean, _, _ = measured(args.measure, features, truth, args.folds, work)
        confusion = numpy.zeros((num_classes, num_classes))
        numpy.add.at(confusion, (truth, clean.argmax(1)), 1)
        numpy.fill_diagonal(confusion, -1)
        for noise in ["uniform", "confused"]:
            for seed in range(args.seeds):
                chance = numpy.random.default_rng(seed)
                changed = chance.choice(len(truth), round(len(truth) * 0.05), replace=False)
                labels = truth.copy()
                if noise == "uniform":
                    labels[changed] = (truth[changed] + chance.integers(1, num_classes, len(changed))) % num_classes
                else:
                    labels[changed] = confusion.argmax(1)[truth[changed]]
                probabilities, suspects, said = measured(args.measure, features, labels, args.folds, work)
                own = [int(row["row"]) for row in suspects if row["kind"] == "label"]
                begun = time.process_time()
                theirs = find_label_issues(labels, probabilities.astype(numpy.float64), n_jobs=1,
                                           filter_by="confident_learning",
                                           return_indices_ranked_by="normalized_margin")
                seconds = time.process_time() - begun
                first = own[:len(changed)]
                right = len(set(first) & set(changed.tolist()))
                print(f"{noise} {seed}: {len(changed)} changed, {len(own)} suspects, precision of the first "
                      f"{len(first)} {right / max(1, len(first)):.3f}, found "
                      f"{len(set(own) & set(changed.tolist())) / len(changed):.3f}; cleanlab "
                      f"{len(theirs)} in {seconds:.2f} s, same {set(own) == set(theirs.tolist())}; {said}",
                      flush=True)


if __name__ == "__main__":
    main()
