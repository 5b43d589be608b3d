"""Compares mentor's optima on 5,000 images of Fashion-MNIST with golden/fashion_optima.json.

    cargo build --release -p mentor-linear --examples
    fashion_optima.py DIR                folder of IDX files

Prints a line for each optimum of scikit-learn or LIBLINEAR: how far mentor's objective is from it. Needs
Python alone. Ends with status 1 if mentor's lower bound is above an optimum, or its objective is larger by more
than 1e-6 of it.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds of a solver [%(default)s]")
    args = parser.parse_args()
    solver = ROOT / "target/release/examples/solve_idx"
    solved, failures = {}, 0
    for case in json.loads((ROOT / "reference/golden/fashion_optima.json").read_text())["cases"]:
        key = case["loss"], case["l2"]
        if key not in solved:
            bias = "bias" if case["bias"] else "no-bias"
            options = [case["loss"], case["l2"], 0, 3e-7, 5000, bias, args.limit]
            command = [str(part) for part in (solver, args.folder, *options)]
            solved[key] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        mentor, theirs = solved[key], case["objective"]
        distance = (mentor["primal"] - theirs) / theirs
        is_fine = mentor["dual"] <= theirs * (1 + 1e-12) and distance <= 1e-6
        failures += not is_fine
        print(
            f"{case['loss']:<14} l2 {case['l2']:<6g} {case['solver']:<15} mentor is {distance:+.1e} off,"
            f" proven within {mentor['relative_gap']:.1e}, {mentor['cpu_secs']:.1f} s of CPU time:"
            f" {'ok' if is_fine else 'FAILED'}",
            flush=True,
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
