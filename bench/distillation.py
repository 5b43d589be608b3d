#!/usr/bin/env python3
"""What distillation gains on Fashion-MNIST: wide perceptrons with dropout, shifts and L2 teach a smaller one without.

    bench/distillation.py --mentor target/release/mentor            the errors of student and baselines, over the seeds
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
import tempfile
from pathlib import Path

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
SECTIONS = ("errors", "missing", "cost")
# Dropout, pixels of a shift at most, epochs and seed of each: of two recipes, so that they err on other images.
TEACHERS = [(0.2, 1, 100, seed) for seed in range(4)] + [(0.1, 2, 150, seed) for seed in range(2)]


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
    parser.add_argument("--teachers", type=int, default=len(TEACHERS), help="an ensemble of the first so many [%(default)s]")
    parser.add_argument("--epochs", type=int, default=120, help="of students and baselines [%(default)s]")
    parser.add_argument("--views", type=int, default=24, help="changed versions of an image that are scored [%(default)s]")
    parser.add_argument("--missing-epochs", type=int, default=20, help="of students without a class [%(default)s]")
    parser.add_argument("--rounds", type=int, default=4, help="of the cost [%(default)s]")
    parser.add_argument("--class", dest="missing", type=int, default=3, help="left out of the transfer set [%(default)s]")
    args = parser.parse_args()
    if not 1 <= args.teachers <= len(TEACHERS):
        parser.error(f"--teachers {args.teachers}: must be from 1 to {len(TEACHERS)}")
    if unknown := [name for name in args.only if name not in SECTIONS]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(SECTIONS)}")
    return args


def mentor(args: argparse.Namespace, *words: object) -> dict:
    command = [str(args.mentor.resolve()), *map(str, words), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def teachers(args: argparse.Namespace) -> None:
    for index, (dropout, reach, epochs, seed) in enumerate(TEACHERS[: args.teachers]):
        run = args.out / f"teacher-{index}"
        recipe = ["--model", "mlp:1200,1200", "--dropout", dropout, "--augment", f"shift:{reach}", "--learning-rate", 0.05]
        recipe += ["--l2", 5e-5, "--epochs", epochs, "--seed", seed, "--out", run, "-q"]
        mentor(args, "train", "--data", args.data, *recipe)
        print(f"teacher {index}: {num_errors(args, run)} test errors", flush=True)


def student(epochs: int, seed: int, run: Path) -> list[object]:
    recipe = ["--model", "mlp:800,800", "--learning-rate", 0.05, "--warmup-epochs", 1, "--clip-norm", 5]
    return [*recipe, "--epochs", epochs, "--seed", seed, "--out", run, "-q"]


def distil(args: argparse.Namespace, data: Path, labels: float, *flags: object) -> dict:
    """The labels' part of the loss weighs `labels`, that of the teachers the rest."""
    teaching = [word for index in range(args.teachers) for word in ("--teacher", args.out / f"teacher-{index}")]
    teaching += ["--temperature", 20, "--soft-weight", 1 - labels, "--hard-weight", labels]
    return mentor(args, "distill", "--data", data, *teaching, *flags)


def evaluate(args: argparse.Namespace, run: Path) -> dict:
    return mentor(args, "eval", run, "--data", args.data, "--split", "test")


def num_errors(args: argparse.Namespace, run: Path) -> int:
    found = evaluate(args, run)
    return round((1 - found["accuracy"]) * found["num_samples"])


def errors(args: argparse.Namespace) -> None:
    """From scratch the student sees the images as they are, or changed as those from which it is taught: its baseline."""
    teachers(args)
    print("\n| seed | from scratch | on changed images | distilled | fewer | fewer than on changed images | agreement |")
    print("|---|---|---|---|---|---|---|")
    fewer: list[list[float]] = [[], []]
    for seed in range(args.seeds):
        plain, taught = args.out / f"plain-{seed}", args.out / f"student-{seed}"
        mentor(args, "train", "--data", args.data, *student(args.epochs, seed, plain))
        views = ["--augment", "rand-augment:1,4", "--views", args.views]
        summary = distil(args, args.data, 0.5, *student(args.epochs, seed, taught), *views)
        found = [num_errors(args, run) for run in (plain, taught / "baseline", taught)]
        for shares, baseline in zip(fewer, found):
            shares.append(1 - found[-1] / baseline)
        cells = [*map(str, (seed, *found)), *(f"{shares[-1]:.1%}" for shares in fewer), f"{summary['agreement']:.4f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    for shares, baseline in zip(fewer, ("from scratch", "from scratch on changed images")):
        spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
        print(f"\nFewer test errors than {baseline}: mean {statistics.mean(shares):.1%}, standard deviation {spread:.1%}.")


def missing(args: argparse.Namespace) -> None:
    teachers(args)
    data = args.out / f"without-{args.missing}"
    leave_out(args.data, data, args.missing)
    teacher = evaluate(args, args.out / "teacher-0")["per_class"][args.missing]["recall"]
    print(f"\nThe teacher's recall of class {args.missing}: {teacher:.3f}\n")
    print("| seed | recall before | after | of the teacher's | accuracy before | after |\n|---|---|---|---|---|---|")
    for seed in range(args.seeds):
        run = args.out / f"missing-{args.missing}-{seed}"
        if not (run / "before.json").exists():
            distil(args, data, 0, *student(args.missing_epochs, seed, run), "--no-baseline")
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
    """Epochs of baseline and student in turns, in fresh runs; the teachers' cache is built before, and first epochs warm up."""
    teachers(args)
    epochs: dict[str, list[float]] = {"baseline": [], "": []}
    for turn in range(args.rounds):
        with tempfile.TemporaryDirectory(dir=args.out) as folder:
            run = Path(folder) / "run"
            distil(args, args.data, 0, *student(3, turn, run))
            for place, found in epochs.items():
                lines = map(json.loads, (run / place / "metrics.jsonl").read_text().splitlines())
                found += [line["train_secs"] for line in lines if line["kind"] == "epoch"][1:]
    plain, taught = epochs["baseline"], epochs[""]
    print(f"plain: least {min(plain):.2f} s, median {statistics.median(plain):.2f} s")
    print(f"distilled: least {min(taught):.2f} s, median {statistics.median(taught):.2f} s")
    ratios = [min(taught) / min(plain), statistics.median(taught) / statistics.median(plain)]
    print(f"distilled / plain: {ratios[0]:.3f} of the least, {ratios[1]:.3f} of the medians, {len(plain)} epochs each")


if __name__ == "__main__":
    sys.exit(main())
