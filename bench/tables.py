#!/usr/bin/env python3
"""Makes the short tables of docs/benchmarks.md anew and prints the rows that moved by more than their spread.

    bench/tables.py --mentor target/release/mentor      all short tables, some minutes
    bench/tables.py --only digits-demo                  one of them; with commas several
    bench/tables.py --dry-run                           the tables and their commands, without running them
    bench/tables.py --write                             also puts numbers, commit and machine into the page
    bench/tables.py --self-test                         checks this script and the captions of the page

The page is the one place of the expected numbers. Above each of its tables stands a caption, here of a short one:

    Table `digits-demo`: commit 3bf9307, AMD EPYC (Zen 4), spread 0.006.

A row has moved if one of its numbers differs from the measured one by more than the spread. The exit status is 1 then.
Needs only Python 3.11 itself.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
CAPTION = re.compile(r"^Table(?: `(?P<name>[a-z-]+)`)?: commits? (?P<commit>[0-9a-f, and]+), (?P<machine>.+?)"
                     r"(?:, spread (?P<spread>[\d.]+))?\.$")
NUMBER = re.compile(r"^\**(-?\d+(?:\.(\d+))?)\**(?: %)?$")
SEEDS = range(5)


class Lab:
    """Runs mentor, or only notes the commands."""

    def __init__(self, mentor: Path, data: Path, out: Path, dry: bool):
        self.mentor, self.data, self.out, self.dry = mentor, data, out, dry
        self.commands: list[str] = []

    def run(self, *words: object) -> str:
        texts = [str(word) for word in words]
        self.commands.append(shlex.join(["mentor", *texts]))
        if self.dry:
            return "{}"
        done = subprocess.run([str(self.mentor), *texts], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def train(self, name: str, *words: object, command: str = "train") -> dict:
        """The summary of a run, which continues if it was cut off."""
        return json.loads(self.run(command, *words, "--out", self.out / name, "--quiet", "--json"))

    def eval(self, name: str, *words: object) -> dict:
        return json.loads(self.run("eval", self.out / name, "--split", "test", "--json", *words))


Rows = dict[str, list[float]]


def digits_demo(lab: Lab) -> Rows:
    lab.run("demo", "--out", lab.out / "demo", "--quiet")
    names = {"linear, SVM, gradient descent": "svm-gd", "linear, softmax, SGD": "softmax-sgd", "cnn": "cnn"}
    return {row: [lab.eval(f"demo/{name}").get("accuracy", 0)] for row, name in names.items()}


def digits_embedding(lab: Lab) -> Rows:
    words = ["--data", "digits", "--model", "cnn", "--loss", "triplet", "--embedding-size", 2, "--unit-norm", "false"]
    words += ["--mining", "all", "--margin", 1, "--augment", "shift", "--epochs", 60]
    rows: Rows = {"P@1": [], "10-NN accuracy": []}
    for seed in SEEDS:
        lab.train(f"plane-{seed}", *words, "--seed", seed)
        found = lab.eval(f"plane-{seed}")
        rows["P@1"].append(found.get("precision_at_1", 0))
        rows["10-NN accuracy"].append(found.get("knn_accuracy", 0))
    return with_means(rows)


def digits_self_training(lab: Lab) -> Rows:
    rows: Rows = {"cnn on the labels alone": [], "round 1": [], "final student": []}
    for seed in SEEDS:
        words = ["--data", "digits", "--labels-per-class", 5, "--seed", seed]
        found = lab.train(f"self-training-{seed}", *words, command="self-train")
        rounds, baseline = found.get("rounds", [{}]), found.get("baseline", {})
        parts = [baseline, rounds[0], found]
        for errors, part in zip(rows.values(), parts):
            errors.append(100 * (1 - part.get("test_accuracy", 1)))
    return with_means(rows)


def fashion_linear(lab: Lab) -> Rows:
    rows = {}
    for loss in ("softmax", "svm"):
        lab.train(f"linear-{loss}", "--data", lab.data, "--model", "linear", "--loss", loss, "--epochs", 20)
        rows[f"linear, {loss}"] = [lab.eval(f"linear-{loss}").get("accuracy", 0)]
    return rows


def with_means(rows: Rows) -> Rows:
    return {row: [*values, statistics.mean(values)] for row, values in rows.items()}


@dataclass
class Table:
    """A short table, and how it is made."""

    measure: Callable[[Lab], Rows]
    minutes: float
    needs_data: bool = False


TABLES = {
    "digits-demo": Table(digits_demo, 1),
    "digits-embedding": Table(digits_embedding, 3),
    "digits-self-training": Table(digits_self_training, 4),
    "fashion-linear": Table(fashion_linear, 1, needs_data=True),
}


@dataclass
class Told:
    """A table of the page: its caption, and the lines of its rows by their first cell without marks."""

    caption: re.Match
    line: int
    rows: dict[str, int]

    @property
    def name(self) -> str | None:
        return self.caption["name"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def label(cell: str) -> str:
    return cell.replace("*", "").replace("`", "")


def told(lines: list[str]) -> list[Told]:
    """The tables of the page. Each has a caption, with an empty line between."""
    found = []
    for number, line in enumerate(lines[1:], 1):
        if not (re.match(r"\|\s*:?-", line) and lines[number - 1].startswith("|")):
            continue
        # A caption may be filled over several lines.
        end = number - 2
        start = end
        while start > 0 and lines[start - 1].strip() and not lines[start].startswith("Table"):
            start -= 1
        caption = CAPTION.match(" ".join(lines[start:end]))
        if not caption:
            raise SystemExit(f"error: {PAGE.name}:{number}: the table has no caption with commit and machine")
        rows, at = {}, number + 1
        while at < len(lines) and lines[at].startswith("|"):
            rows[label(cells(lines[at])[0])] = at
            at += 1
        found.append(Told(caption, start, rows))
    return found


def numbers(line: str) -> list[tuple[float, int]]:
    """The values of a row and their digits behind the point. Other cells are passed over."""
    matches = [NUMBER.match(cell) for cell in cells(line)[1:]]
    return [(float(match[1]), len(match[2] or "")) for match in matches if match]


def moved(name: str, lines: list[str], expected: Told, rows: Rows) -> list[str]:
    """A line for each row that differs by more than the spread of the caption."""
    spread, found = float(expected.caption["spread"]), []
    for row, measured in rows.items():
        if row not in expected.rows:
            found.append(f"{name}: {row}: the page has no such row")
            continue
        before = numbers(lines[expected.rows[row]])
        if len(before) != len(measured):
            found.append(f"{name}: {row}: the page has {len(before)} numbers, measured were {len(measured)}")
            continue
        changes = [
            f"{old:.{digits}f} → {new:.{digits}f}"
            for (old, digits), new in zip(before, measured)
            if abs(round(new, digits) - old) > spread
        ]
        if changes:
            found.append(f"{name}: {row}: {', '.join(changes)}, spread {spread}")
    return found


def written(lines: list[str], expected: Told, rows: Rows, commit: str, machine: str) -> list[str]:
    """The page with the measured numbers in the places of the old ones."""
    lines = list(lines)
    for row, measured in rows.items():
        at = expected.rows[row]
        parts, values = lines[at].split("|"), iter(measured)
        for place, part in enumerate(parts[2:], 2):
            if match := NUMBER.match(part.strip()):
                parts[place] = part.replace(match[1], f"{next(values):.{len(match[2] or '')}f}")
        lines[at] = "|".join(parts)
    name, spread = expected.caption["name"], expected.caption["spread"]
    end = expected.line
    while lines[end].strip():
        end += 1
    lines[expected.line : end] = [f"Table `{name}`: commit {commit}, {machine}, spread {spread}."]
    return lines


def machine() -> str:
    """The processor and the widest vectors that it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*: (.*)", text)
    name = re.sub(r"\((?:R|TM)\)", "", model[1]).strip() if model else "unknown processor"
    vectors = next((shown for flag, shown in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if f" {flag}" in text), "neither")
    return f"{len(os.sched_getaffinity(0))} CPUs of {name} with {vectors}"


def commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], cwd=HERE, stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


def self_test() -> None:
    """Fails if the page lacks a caption or a short table, or if a moved number is not seen."""
    page = PAGE.read_text().split("\n")
    names = {table.name: table for table in told(page) if table.name}
    assert set(names) == set(TABLES), f"captions {sorted(names)}, tables {sorted(TABLES)}"
    lab = Lab(Path("mentor"), Path("DATA"), Path("OUT"), dry=True)
    for name, table in TABLES.items():
        rows = table.measure(lab)
        assert set(rows) <= set(names[name].rows), f"{name}: {sorted(rows)} are not rows of the page"
        same = {row: [value for value, _ in numbers(page[names[name].rows[row]])] for row in rows}
        assert not moved(name, page, names[name], same), name
        spread = float(names[name].caption["spread"])
        for row, values in same.items():
            other = {**same, row: [values[0] + 1.5 * spread, *values[1:]]}
            assert len(moved(name, page, names[name], other)) == 1, (name, row)
            new = written(page, names[name], other, "0123abc", "a machine")
            again = next(table for table in told(new) if table.name == name)
            assert not moved(name, new, again, {row: [round(v, 4) for v in other[row]]}), (name, row)
            assert again.caption["commit"] == "0123abc" and again.caption["machine"] == "a machine"
    without = [line for line in page if not line.startswith("Table `digits-demo`")]
    try:
        told(without)
    except SystemExit:
        print("self-test passed")
        return
    raise AssertionError("a table without its caption was not seen")


def main() -> int:
    args = parse()
    if args.self_test:
        self_test()
        return 0
    page = PAGE.read_text().split("\n")
    chosen = {name: TABLES[name] for name in args.only}
    if args.dry_run:
        for name, table in chosen.items():
            lab = Lab(args.mentor, args.data, Path("OUT"), dry=True)
            table.measure(lab)
            print(f"{name}, about {table.minutes:g} min:", *lab.commands, sep="\n  ")
        return 0
    if not args.mentor.is_file():
        sys.exit(f"error: {args.mentor} does not exist; build it with cargo build --release, or name it with --mentor")
    changes = []
    with tempfile.TemporaryDirectory() as folder:
        for name, table in chosen.items():
            if table.needs_data and not args.data.is_dir():
                print(f"{name}: left out: {args.data} does not exist; name a folder of IDX files with --data")
                continue
            rows = table.measure(Lab(args.mentor.resolve(), args.data, args.out or Path(folder), dry=False))
            for row, values in rows.items():
                print(f"{name}: {row}: {', '.join(f'{value:.4f}' for value in values)}", flush=True)
            expected = next(found for found in told(page) if found.name == name)
            changes += moved(name, page, expected, rows)
            if args.write:
                page = written(page, expected, rows, commit(), machine())
    if args.write:
        PAGE.write_text("\n".join(page))
    print(*(f"moved: {change}" for change in changes), sep="\n") if changes else print("no row moved")
    return 1 if changes else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentor", type=Path, default=HERE.parent / "target/release/mentor", help="the binary [%(default)s]")
    data = Path("/usr/share/datasets/fashion-mnist")
    parser.add_argument("--data", type=Path, default=data, help="folder of Fashion-MNIST's IDX files [%(default)s]")
    parser.add_argument("--out", type=Path, help="keep the runs here; the same command continues them")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TABLES), help=f"[{','.join(TABLES)}]")
    parser.add_argument("--dry-run", action="store_true", help="print the tables and their commands")
    parser.add_argument("--write", action="store_true", help="put numbers, commit and machine into the page")
    parser.add_argument("--self-test", action="store_true", help="check this script and the captions of the page")
    args = parser.parse_args()
    if unknown := [name for name in args.only if name not in TABLES]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(TABLES)}")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {shlex.join(error.cmd)} ended with status {error.returncode}")
