#!/usr/bin/env python3
"""Linear classifiers to a true relative suboptimality of 1e-3 and 1e-6, beside scikit-learn's solvers, on Fashion-MNIST.

    cargo build --release -p mentor-linear --examples
    bench/setup.sh                                        once: the peers
    bench/linear.py                                       everything
    bench/linear.py --problems softmax:1e-2,cs:1e-2       some; also l1:1e-3, svm:1e-4
    bench/linear.py --path                                20 penalties, 5 folds, 1,000 samples of 1,280 features

mentor solves each problem once to 1e-8: its dual value then is the optimum for both sides. Its time is when an iteration's objective is within the
target of it, as for the peers, and when the *certificate* says so, which is later. Times are those of the clock, and of all CPUs in parentheses: on a
busy machine compare the latter.
"""

import argparse
import sys
from pathlib import Path

from harness import Failed, machine_line, run_child, seconds, significant, table, thread_env

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROBLEMS = ",".join(f"{loss}:{strength}" for loss in ("softmax", "cs", "svm", "l1") for strength in ("1e-2", "1e-4", "1e-6"))
PEERS = {"softmax": ["lbfgs", "newton-cg", "newton-cholesky"], "cs": ["liblinear-cs"], "l1": ["saga"], "svm": []}
LOSSES = {"softmax": "softmax", "cs": "crammer-singer", "svm": "svm", "l1": "softmax"}
TARGETS = (1e-3, 1e-6)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="[%(default)s]")
    parser.add_argument("--problems", default=PROBLEMS, help="[%(default)s]")
    parser.add_argument("--samples", type=int, default=60_000, help="only the first so many [%(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="of both sides [%(default)s]")
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds of a peer's fit at most [%(default)s]")
    parser.add_argument("--python", default=str(HERE / ".venv/bin/python"), help="with the peers [%(default)s]")
    parser.add_argument("--path", action="store_true", help="time a path instead")
    args = parser.parse_args()
    print(f"Machine: {machine_line(args.threads)}\n", flush=True)
    examples = ROOT / "target/release/examples"
    if args.path:
        print(run_child([examples / "path_random"], thread_env(args.threads), 600).json())
        return 0
    rows = []
    for problem in args.problems.split(","):
        try:
            rows += measure(args, examples / "solve_idx", *problem.split(":"))
        except Failed as failed:
            print(f"{problem}: {failed}", file=sys.stderr)
        if rows:
            print(table(["problem", "λ", "solver", *(f"to {target:g}" for target in TARGETS), "note"], rows), flush=True)
    return 0


def measure(args: argparse.Namespace, solver: Path, kind: str, strength: str) -> list[list[str]]:
    env = thread_env(args.threads)
    penalties = ["0", strength] if kind == "l1" else [strength, "0"]
    bias = ["no-bias"] if kind == "cs" else []
    command = [solver, args.data, LOSSES[kind], *penalties]
    best = run_child([*command, "1e-8", args.samples, *bias], env, 3600).json()
    optimum = best["dual"]
    rows = []
    for side, bound in [("mentor", optimum), ("mentor, certified", None)]:
        cells = []
        for target in TARGETS:
            met = (point for point in best["trace"] if point[2] - (point[3] if bound is None else bound) <= target * point[2])
            point = next(met, None)
            cells.append(f"{seconds(point[0])} ({seconds(point[1])})" if point else f"not reached: {best['relative_gap']:.1e}")
        rows.append([kind, strength, side, *cells, f"gap of the reference {best['relative_gap']:.0e}"])
    for peer in PEERS[kind]:
        options = ["--l1", strength] if kind == "l1" else ["--l2", strength]
        script = [args.python, HERE / "peers/sklearn_optimum.py", peer, "--data", args.data, "--samples", args.samples]
        child = run_child([*script, *options, "--optimum", optimum, "--limit", args.limit], env, 3600).json()
        last = child["last"]
        missed = f"not in {cell(last)}"
        cells = [cell(child["reached"][repr(target)]) if repr(target) in child["reached"] else missed for target in TARGETS]
        rows.append([kind, strength, peer, *cells, f"last suboptimality {significant(last['suboptimality'] * 1e6)}e-6"])
    return rows


def cell(run: dict) -> str:
    return f"{seconds(run['secs'])} ({seconds(run['cpu_secs'])})"


if __name__ == "__main__":
    sys.exit(main())
