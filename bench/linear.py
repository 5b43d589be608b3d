#!/usr/bin/env python3
"""Linear classifiers to a true relative suboptimality of 1e-3 and 1e-6, beside scikit-learn's solvers, on
Fashion-MNIST.

    cargo build --release -p mentor-linear --examples
    bench/setup.sh                                        once: the peers
    bench/linear.py --out linear.jsonl                    everything; a second call goes on where it ended
    bench/linear.py --problems softmax:1e-2,cs:1e-2       some; also l1:1e-3, svm:1e-4
    bench/linear.py --path                                a path: 20 penalties, 5 folds

mentor solves each problem once to 1e-8, within --limit: its dual value is the optimum for both sides. Where
that run has not come near the optimum, it is a lower bound only, and what is "not reached" may have been.
mentor's time is when an iteration's objective is within the target, as for the peers, and when the
*certificate* says so, which is later. Times are those of all CPUs, and of the clock in parentheses: on a busy
machine compare the former. A ratio is the fastest peer's CPU time divided by mentor's; with ">" the peer had
not arrived when its limit was over.
"""

import argparse
import json
import sys
from pathlib import Path

from harness import Failed, machine_line, run_child, seconds, significant, table, thread_env

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LAMBDAS = ("1e-2", "1e-4", "1e-6")
PROBLEMS = ",".join(f"{kind}:{l}" for l in LAMBDAS for kind in ("softmax", "l1", "cs", "svm"))
PEERS = {
    "softmax": ["lbfgs", "newton-cg", "newton-cholesky"],
    "cs": ["liblinear-cs"],
    "l1": ["saga"],
    "svm": [],
}
LOSSES = {"softmax": "softmax", "cs": "crammer-singer", "svm": "svm", "l1": "softmax"}
TARGETS = (1e-3, 1e-6)


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    idx = Path("/usr/share/datasets/fashion-mnist")
    parser.add_argument("--data", type=Path, default=idx, help="[%(default)s]")
    parser.add_argument("--problems", default=PROBLEMS, help="[%(default)s]")
    parser.add_argument("--samples", type=int, default=60_000, help="the first so many [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="of both sides [%(default)s]")
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds of a fit [%(default)s]")
    python, solver = HERE / ".venv/bin/python", ROOT / "target/release/examples/solve_idx"
    parser.add_argument("--python", default=str(python), help="with the peers [%(default)s]")
    parser.add_argument("--out", type=Path, help="keep each run as a line of this file, and go on from it")
    parser.add_argument("--solver", default=str(solver), help="[%(default)s]")
    parser.add_argument("--path", action="store_true", help="time a path instead")
    args = parser.parse_args()
    print(f"Machine: {machine_line(args.threads)}\n", flush=True)
    if args.path:
        example = ROOT / "target/release/examples/path_random"
        print(run_child([example], thread_env(args.threads), 600).json())
        return 0
    kept = {}
    if args.out and args.out.is_file():
        lines = (json.loads(line) for line in args.out.read_text().splitlines())
        kept = {(line["problem"], line["side"]): line for line in lines}
    rows = []
    for problem in args.problems.split(","):
        rows += measure(args, problem, kept)
    if rows:
        header = ["problem", "λ", "side", *(f"to {target:g}" for target in TARGETS), "ratio", "note"]
        print(table(header, rows), flush=True)
    return 0


def measure(args: argparse.Namespace, problem: str, kept: dict) -> list[list[str]]:
    """The rows of a problem; what `kept` has is not run again."""
    kind, strength = problem.split(":")
    env = thread_env(args.threads)

    def once(side: str, command: list) -> dict:
        if (problem, side) not in kept:
            try:
                # Judging what a peer has found, and reading the data, comes on top of its limit.
                found = {"run": run_child(command, env, 4 * args.limit + 300).json()}
            except Failed as failed:
                found = {"failed": str(failed)}
            kept[problem, side] = {"problem": problem, "side": side, "limit": args.limit, **found}
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(kept[problem, side]) + "\n")
            print(f"{problem} {side}: {found.get('failed', 'done')}", flush=True)
        return kept[problem, side]

    penalties = ["0", strength] if kind == "l1" else [strength, "0"]
    bias = "no-bias" if kind == "cs" else "bias"
    ours = [args.solver, args.data, LOSSES[kind], *penalties, "1e-8", args.samples, bias, args.limit]
    mentor = once("mentor", ours)
    if "failed" in mentor:
        return [[kind, strength, "mentor", *["failed"] * len(TARGETS), "", mentor["failed"]]]
    best = mentor["run"]
    optimum = best["dual"]
    # The time of each target on the line, and of the certificate.
    reached = [first_within(best["trace"], optimum, target) for target in TARGETS]
    proven = [first_within(best["trace"], None, target) for target in TARGETS]
    peers = []
    for peer in PEERS[kind]:
        options = ["--l1", strength] if kind == "l1" else ["--l2", strength]
        script = [args.python, HERE / "peers/sklearn_optimum.py", peer, "--data", args.data]
        limits = ["--samples", args.samples, "--optimum", optimum, "--limit", args.limit]
        peers.append(once(peer, [*script, *options, *limits]))
    ratios = [ratio(peers, target, own) for target, own in zip(TARGETS, reached)]
    name = f"gap of the reference {best['relative_gap']:.0e}, {best['reason']}"
    ours_cells = [cell(point) if point else "not reached" for point in reached]
    proven_cells = [cell(point) if point else "not proven" for point in proven]
    rows = [
        [kind, strength, "mentor", *ours_cells, ", ".join(ratios), name],
        [kind, strength, "mentor, proven", *proven_cells, "", ""],
    ]
    for peer in peers:
        if "failed" in peer:
            rows.append([kind, strength, peer["side"], *["failed"] * len(TARGETS), "", peer["failed"]])
            continue
        run = peer["run"]
        last = f"{significant(run['last']['suboptimality'], 2)} after {seconds(run['last']['cpu_secs'])}"
        points = [peer_point(peer, target) for target in TARGETS]
        cells = [cell(point) if point else "not reached" for point in points]
        rows.append([kind, strength, peer["side"], *cells, "", last])
    return rows


def first_within(trace: list, optimum: float | None, target: float) -> tuple | None:
    """CPU seconds and seconds of the first iteration within `target` of the optimum, or of its own bound."""
    for secs, cpu_secs, primal, dual in trace:
        if primal - (dual if optimum is None else optimum) <= target * primal:
            return cpu_secs, secs
    return None


def peer_point(peer: dict, target: float) -> tuple | None:
    point = peer.get("run", {}).get("reached", {}).get(repr(target))
    return (point["cpu_secs"], point["secs"]) if point else None


def ratio(peers: list[dict], target: float, own: tuple | None) -> str:
    """The fastest peer's time divided by mentor's."""
    if own is None or not peers:
        return "–"
    times = [point[0] for point in (peer_point(peer, target) for peer in peers) if point]
    if times:
        return significant(min(times) / own[0], 2)
    # What each peer was given; it had not arrived.
    given = [peer["run"]["last"]["cpu_secs"] for peer in peers if "run" in peer]
    return f"> {significant(max(given) / own[0], 2)}" if given else "–"


def cell(point: tuple) -> str:
    return f"{seconds(point[0])} ({seconds(point[1])})"


if __name__ == "__main__":
    sys.exit(main())
