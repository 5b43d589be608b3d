#!/usr/bin/env python3
"""What images without labels give on Fashion-MNIST with 100 labels a class, and what each part of the method contributes.

    bench/self_training.py --mentor target/release/mentor        noisy student, Lee's method and the ablations, over the seeds
    bench/self_training.py --only noisy-student,pseudo-label     some of them
    bench/self_training.py --seeds 1 --epochs 1                  a first look

The ablations are of the first round: their students are compared with the first round's of the whole method, whose teacher is
the same. Every run continues where it was cut off, in --out. Prints Markdown. Needs only Python 3.11 itself."""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

# What is switched off, beside the whole method.
ABLATIONS = {
    "no noise": ["--no-noise"],
    "no balancing": ["--no-balance"],
    "hard labels": ["--label-kind", "hard"],
}
NAMES = ["noisy-student", "pseudo-label", *(name.replace(" ", "-") for name in ABLATIONS)]


def main() -> int:
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[float]] = {}
    try:
        for seed in range(args.seeds):
            for name in args.only:
                for row, errors in measured(args, name, seed).items():
                    columns.setdefault(row, []).append(errors)
                    print(f"seed {seed}, {row}: {errors:.2f} % test errors", flush=True)
    except subprocess.CalledProcessError as error:
        print(f"error: {shlex.join(error.cmd)} ended with status {error.returncode}", file=sys.stderr)
        return 1
    print(f"\n| test error % at seed | {' | '.join(map(str, range(args.seeds)))} | mean |")
    print(f"|{'---|' * (args.seeds + 2)}")
    for row, errors in columns.items():
        print(f"| {row} | {' | '.join(f'{error:.2f}' for error in errors)} | {statistics.mean(errors):.2f} |")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentor", type=Path, default=Path("target/release/mentor"), help="[%(default)s]")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="[%(default)s]")
    parser.add_argument("--out", type=Path, default=Path("runs/self-training"), help="place of the runs [%(default)s]")
    parser.add_argument("--only", type=lambda text: text.split(","), default=NAMES, help=f"[{','.join(NAMES)}]")
    parser.add_argument("--seeds", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--labels", type=int, default=100, help="of each class [%(default)s]")
    parser.add_argument("--model", default="cnn", help="[%(default)s]")
    parser.add_argument("--rounds", type=int, default=2, help="of the whole method [%(default)s]")
    parser.add_argument("--epochs", type=int, default=4, help="passes over the images without labels [%(default)s]")
    parser.add_argument("--learning-rate", type=float, default=0.05, help="[%(default)s]")
    parser.add_argument("--clip-norm", type=float, default=2, help="without it some students diverge at this rate [%(default)s]")
    parser.add_argument("--ratio", type=float, default=2, help="pseudo-labelled images beside each of 32 labelled ones [%(default)s]")
    args = parser.parse_args()
    if unknown := [name for name in args.only if name not in NAMES]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(NAMES)}")
    return args


def measured(args: argparse.Namespace, name: str, seed: int) -> dict[str, float]:
    """Test errors in per cent, by the row that they belong to."""
    if name == "noisy-student":
        summary = self_train(args, name, seed, "--rounds", args.rounds)
        errors = {"the labels alone": percent(summary["baseline"]["test_accuracy"])}
        for found in summary["rounds"]:
            errors[f"round {found['round']}"] = percent(found["test_accuracy"])
        return errors | {"noisy student": percent(summary["test_accuracy"])}
    if name == "pseudo-label":
        summary = self_train(args, name, seed, "--no-baseline", "--method", "pseudo-label")
        return {"Lee's method": percent(summary["test_accuracy"])}
    words = next(words for row, words in ABLATIONS.items() if row.replace(" ", "-") == name)
    summary = self_train(args, name, seed, "--no-baseline", "--rounds", 1, *words)
    return {f"round 1, {name.replace('-', ' ')}": percent(summary["rounds"][0]["test_accuracy"])}


def self_train(args: argparse.Namespace, name: str, seed: int, *more: object) -> dict:
    words = ["self-train", "--data", args.data, "--labels-per-class", args.labels, "--model", args.model, "--epochs", args.epochs]
    words += ["--learning-rate", args.learning_rate, "--clip-norm", args.clip_norm, "--ratio", args.ratio, "--seed", seed, *more]
    words += ["--out", args.out / f"{name}-{seed}", "-q", "--json"]
    command = [str(args.mentor.resolve()), *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def percent(accuracy: float) -> float:
    return 100 * (1 - accuracy)


if __name__ == "__main__":
    sys.exit(main())
