#!/usr/bin/env python3
"""mentor and its peers side by side: runs both in turns and prints Markdown tables with the ratio of their times.

    bench/setup.sh                       once: the peers, pinned, in a virtual environment
    bench/run.py --build                 builds mentor in release mode, then measures everything
    bench/run.py --only steps,startup    some sections: linear, objective, steps, accuracy, startup
    bench/run.py --peers-only            without mentor

Needs only Python 3.11 itself; the peers run in their virtual environment (MENTOR_BENCH_VENV, default bench/.venv).
A ratio is mentor's time divided by the peer's: below 1, mentor is faster.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from harness import Failed, machine_line, thread_env
from sections import SECTIONS, Bench

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ["cargo", "build", "--release", "-p", "mentor-cli", "--bin", "mentor", "--example", "step_bench"]


def main() -> int:
    args = parse()
    bench = Bench(
        python=venv_python(),
        peers=HERE / "peers",
        mentor=None if args.peers_only else args.mentor,
        step_bench=None if args.peers_only else args.step_bench,
        mentor_sets=args.set,
        data=args.data,
        rounds=args.rounds,
        steps=args.steps,
        threads=args.threads,
        compile=args.compile,
        env=thread_env(args.threads),
        timeout_secs=args.timeout,
    )
    # Everything that can be missing is looked for before the first long run.
    problems = missing(args, bench)
    if problems:
        for problem in problems:
            print(f"error: {problem}", file=sys.stderr)
        return 2

    machine = machine_line(args.threads)
    print(f"Machine: {machine}\n")
    print(f"Versions: {bench.versions()}\n")
    print(f"{args.rounds} rounds, both sides in turns; median (min to max) over the rounds.", flush=True)
    if os.getloadavg()[0] > 0.5:
        print("\nThe machine was busy before the first run: these timings are rough.", flush=True)
    results = {}
    for name in args.only:
        print(f"\n## {SECTIONS[name].title}\n", flush=True)
        results[name] = SECTIONS[name].run(bench)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "sections": results}, indent=1) + "\n")
    for error in bench.errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if bench.errors else 0


def parse() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path("/usr/share/datasets/fashion-mnist")
    parser.add_argument("--data", type=Path, default=data, help="folder of IDX files [%(default)s]")
    names = ",".join(SECTIONS)
    parser.add_argument("--only", type=sections, default=list(SECTIONS), help=f"comma-separated: {names} [all]")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side [%(default)s]")
    parser.add_argument("--steps", type=int, default=20, help="timed training steps a round [%(default)s]")
    parser.add_argument("--threads", type=int, default=cpus, help="of both sides [%(default)s, the CPUs]")
    sets = "passed to `mentor train --set`; repeatable"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=sets)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler; minutes)")
    parser.add_argument("--build", action="store_true", help="build mentor in release mode first")
    parser.add_argument("--peers-only", action="store_true", help="measure only the peers")
    parser.add_argument("--mentor", type=Path, default=target / "mentor", help="the binary [%(default)s]")
    step_bench = target / "examples" / "step_bench"
    parser.add_argument("--step-bench", type=Path, default=step_bench, help="the example [%(default)s]")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take [%(default)s]")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    args = parser.parse_args()
    if min(args.rounds, args.steps, args.threads) < 1:
        parser.error("--rounds, --steps and --threads are at least 1")
    if args.build and not args.peers_only:
        subprocess.run(BUILD, cwd=ROOT, check=True)
    return args


def sections(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    return names


def venv_python() -> Path:
    return Path(os.environ.get("MENTOR_BENCH_VENV", HERE / ".venv")) / "bin" / "python"


def missing(args: argparse.Namespace, bench: Bench) -> list[str]:
    """One line for each thing that the chosen sections need and that is not there."""
    problems = []
    build = f"build it: {' '.join(BUILD)} (or pass --build, or --peers-only)"
    needs_mentor = {"linear", "objective", "accuracy", "startup"} & set(args.only)
    if bench.mentor and needs_mentor and not bench.mentor.is_file():
        problems.append(f"{bench.mentor} does not exist; {build}")
    if bench.step_bench and "steps" in args.only and not bench.step_bench.is_file():
        problems.append(f"{bench.step_bench} does not exist; {build}")
    if set(args.only) - {"startup"} and not bench.python.is_file():
        problems.append(f"{bench.python} does not exist; run bench/setup.sh (MENTOR_BENCH_VENV chooses the folder)")
    if set(args.only) - {"startup"} and not args.data.is_dir():
        problems.append(f"{args.data} does not exist; name a folder of IDX files with --data")
    return problems


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"error: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
