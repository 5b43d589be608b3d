#!/usr/bin/env python3
"""What distillation gains on Fashion-MNIST: wide perceptrons with dropout, shifts and L2 teach a smaller plain one.

    bench/distillation.py --mentor target/release/mentor            the errors of student and baseline, over the seeds
    bench/distillation.py --only missing --class 3                  a transfer set without one class, before and after calibration
    bench/distillation.py --only cost --rounds 4                    an epoch of distillation beside an epoch of plain training

Every run continues where it was cut off, in --out. Prints Markdown with the commands. Needs only Python 3.11 itself."""

import argparse
import gzip
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
SECTIONS = ("errors", "missing", "cost")


def main() -> int:
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        for name in args.only:
            print(f"\n## {name}\n", flush=True)
            globals()[name](args)
    except subprocess.CalledProcessError as error:
        print(f"error: {shlex.join(error.cmd)} ended with status {error.returncode}", file=sys.stderr)
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentor", type=Path, default=Path("target/release/mentor"), help="[%(default)s]")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="[%(default)s]")
    parser.add_argument("--out", type=Path, default=Path("runs/distillation"), help="place of the runs [%(default)s]")
    parser.add_argument("--only", type=lambda text: text.split(","), default=["errors", "missing"], help="[errors,missing]")
    parser.add_argument("--seeds", type=int, default=3, help="students, each with its baseline [%(default)s]")
    parser.add_argument("--teachers", type=int, default=4, help="an ensemble of so many [%(default)s]")
    parser.add_argument("--teacher-epochs", type=int, default=100, help="[%(default)s]")
    parser.add_argument("--epochs", type=int, default=40, help="of students and baselines [%(default)s]")
    parser.add_argument("--rounds", type=int, default=4, help="of the cost [%(default)s]")
    parser.add_argument("--class", dest="missing", type=int, default=3, help="left out of the transfer set [%(default)s]")
    args = parser.parse_args()
    if unknown := [name for name in args.only if name not in SECTIONS]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(SECTIONS)}")
    return args


def mentor(args: argparse.Namespace, *words: object) -> dict:
    command = [str(args.mentor.resolve()), *map(str, words), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def teachers(args: argparse.Namespace) -> list[object]:
    """The flags that name the trained teachers."""
    flags: list[object] = []
    for seed in range(args.teachers):
        run = args.out / f"teacher-{seed}"
        recipe = ["--model", "mlp:1200,1200", "--dropout", 0.2, "--augment", "shift:1", "--learning-rate", 0.05, "--l2", 5e-5]
        recipe += ["--epochs", args.teacher_epochs, "--seed", seed, "--out", run, "-q"]
        mentor(args, "train", "--data", args.data, *recipe)
        flags += ["--teacher", run]
        print(f"teacher {seed}: {num_errors(args, run)} test errors", flush=True)
    return flags


def distil(args: argparse.Namespace, data: Path, run: Path, seed: int, *more: object) -> dict:
    recipe = ["--model", "mlp:800,800", "--temperature", 20, "--soft-weight", 1, "--hard-weight", 0, "--learning-rate", 0.05]
    recipe += ["--warmup-epochs", 1, "--epochs", args.epochs, "--seed", seed, "--out", run, "-q"]
    return mentor(args, "distill", *teachers_of(args), "--data", data, *recipe, *more)


def teachers_of(args: argparse.Namespace) -> list[object]:
    return [word for seed in range(args.teachers) for word in ("--teacher", args.out / f"teacher-{seed}")]


def evaluate(args: argparse.Namespace, run: Path) -> dict:
    return mentor(args, "eval", run, "--data", args.data, "--split", "test")


def num_errors(args: argparse.Namespace, run: Path) -> int:
    found = evaluate(args, run)
    return round((1 - found["accuracy"]) * found["num_samples"])


def errors(args: argparse.Namespace) -> None:
    teachers(args)
    print("\n| seed | baseline | student | fewer | agreement | p on validation |\n|---|---|---|---|---|---|")
    shares = []
    for seed in range(args.seeds):
        run = args.out / f"student-{seed}"
        summary = distil(args, args.data, run, seed)
        plain, student = num_errors(args, run / "baseline"), num_errors(args, run)
        shares.append(1 - student / plain)
        p = summary["baseline"]["p_value"]
        print(f"| {seed} | {plain} | {student} | {shares[-1]:.1%} | {summary['agreement']:.4f} | {p:.3f} |", flush=True)
    spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
    print(f"\nFewer test errors than the baseline: mean {statistics.mean(shares):.1%}, standard deviation {spread:.1%}.")


def missing(args: argparse.Namespace) -> None:
    teachers(args)
    data = args.out / f"without-{args.missing}"
    leave_out(args.data, data, args.missing)
    teacher = evaluate(args, args.out / "teacher-0")["per_class"][args.missing]["recall"]
    print(f"\nThe teacher's recall of class {args.missing}: {teacher:.3f}\n")
    print("| seed | recall before | after | of the teacher's | accuracy before | after |\n|---|---|---|---|---|---|")
    for seed in range(args.seeds):
        run = args.out / f"missing-{args.missing}-{seed}"
        if not (run / "summary.json").exists():
            distil(args, data, run, seed, "--no-baseline")
            (run / "before.json").write_text(json.dumps(evaluate(args, run)))
        before = json.loads((run / "before.json").read_text())
        mentor(args, "calibrate", run, "--data", args.data, "--match-prior")
        after = evaluate(args, run)
        recalls = [found["per_class"][args.missing]["recall"] for found in (before, after)]
        row = f"| {seed} | {recalls[0]:.3f} | {recalls[1]:.3f} | {recalls[1] / teacher:.2f} "
        print(row + f"| {before['accuracy']:.4f} | {after['accuracy']:.4f} |", flush=True)


def leave_out(data: Path, out: Path, label: int) -> None:
    """The same IDX files, but no training image of `label`; the test split, which holds it, keeps the class known."""
    out.mkdir(exist_ok=True)
    images, labels = (gzip.decompress((data / name).read_bytes()) for name in (IMAGES, LABELS))
    size = int.from_bytes(images[8:12], "big") * int.from_bytes(images[12:16], "big")
    kept = [index for index, value in enumerate(labels[8:]) if value != label]
    count = len(kept).to_bytes(4, "big")
    pixels = b"".join(images[16 + index * size : 16 + (index + 1) * size] for index in kept)
    (out / IMAGES).write_bytes(gzip.compress(images[:4] + count + images[8:16] + pixels, 1))
    (out / LABELS).write_bytes(gzip.compress(labels[:4] + count + bytes(labels[8 + index] for index in kept), 1))
    for path in data.glob("t10k-*"):
        (out / path.name).write_bytes(path.read_bytes())


def cost(args: argparse.Namespace) -> None:
    """Epochs of baseline and student in turns, in fresh runs of two epochs each; the teacher's cache is built before."""
    teachers(args)
    epochs: dict[str, list[float]] = {"baseline": [], "": []}
    for turn in range(args.rounds):
        run = args.out / f"cost-{turn}"
        recipe = ["--model", "mlp:800,800", "--temperature", 20, "--epochs", 2, "--out", run, "-q"]
        mentor(args, "distill", *teachers_of(args), "--data", args.data, *recipe)
        for place, found in epochs.items():
            lines = map(json.loads, (run / place / "metrics.jsonl").read_text().splitlines())
            found += [line["train_secs"] for line in lines if line["kind"] == "epoch"]
    plain, student = epochs["baseline"], epochs[""]
    print(f"plain: least {min(plain):.2f} s, median {statistics.median(plain):.2f} s")
    print(f"distilled: least {min(student):.2f} s, median {statistics.median(student):.2f} s")
    ratios = [min(plain) and min(student) / min(plain), statistics.median(student) / statistics.median(plain)]
    print(f"distilled / plain: {ratios[0]:.3f} of the least, {ratios[1]:.3f} of the medians, {len(plain)} epochs each")


if __name__ == "__main__":
    sys.exit(main())
