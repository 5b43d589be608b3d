#!/usr/bin/env python3
"""All triplets of a batch, and retrieval: mentor beside pytorch-metric-learning and sentence-transformers, in turns.

    bench/setup.sh --ranking             once: the peers, pinned, in a virtual environment
    bench/ranking.py --build             builds mentor's side in release mode, then measures
    bench/ranking.py --large             also N = 4,096 on one thread and N = 60,000, of mentor alone

Value and gradient of the same embeddings, Euclidean, margin 0.2, mean over active triplets. Each figure is the best of all calls over
the rounds, timed within each process: on a machine that others use too, the best is what repeats. The ratio is
the peer's time divided by mentor's: above 1, mentor is faster.

Retrieval: P@1, R-precision and MAP@R of each sample among all others, of clusters as a trained model gives them and of noise, where
nothing can be skipped. The peer is AccuracyCalculator on exact distances, and has to give the same three numbers.
"""

import argparse
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Failed, machine_line, run_child, thread_env

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ["cargo", "build", "--release", "-p", "mentor-loss", "-p", "mentor-metrics", "--examples"]
PEERS = ["pytorch-metric-learning", "sentence-transformers"]
# N, D, classes
BATCHES = [(256, 32, 16), (1024, 128, 64)]
# The spread of the classes' centres.
RETRIEVAL = {"clusters": 1.0, "noise": 0.0}
METRICS = ["precision_at_1", "r_precision", "map_at_r"]


def main() -> int:
    args = parse()
    if args.build:
        subprocess.run(BUILD, cwd=ROOT, check=True)
    python = Path(os.environ.get("MENTOR_BENCH_VENV", HERE / ".venv")) / "bin" / "python"
    build = f"build it: {' '.join(BUILD)}"
    examples = [args.examples / name for name in ["triplet_bench", "retrieval_bench"]]
    for path, hint in [*((example, build) for example in examples), (python, "run bench/setup.sh --ranking")]:
        if not path.is_file():
            print(f"error: {path} does not exist; {hint}", file=sys.stderr)
            return 2
    print(f"Machine: {machine_line(args.threads)}\n")
    if os.getloadavg()[0] > 0.5:
        print("The machine was busy before the first run: these timings are rough.\n", flush=True)
    print("| N | D | classes | mentor | peer | time | ratio | loss, both |\n|--:|--:|--:|--:|---|--:|--:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in BATCHES:
            compare(args, python, size, Path(folder))
        if args.large:
            alone(args, (4096, 128, 64), "batch", 1, Path(folder))
            alone(args, (60000, 128, 10), "streamed", args.threads, Path(folder))
        print("\n| N | D | embeddings | mentor | memory | peer | P@1, R-precision, MAP@R |\n|--:|--:|---|--:|--:|--:|---|", flush=True)
        for kind in RETRIEVAL:
            retrieval(args, python, (10000, 128, 10), kind, Path(folder))
            if args.large:
                retrieval(args, None, (60000, 128, 10), kind, Path(folder))
    return 0


def parse() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true", help="build mentor's side in release mode first")
    parser.add_argument("--large", action="store_true", help="also the sizes that only mentor can do")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3, help="of one turn [%(default)s]")
    parser.add_argument("--threads", type=int, default=cpus, help="of both sides [%(default)s, the CPUs]")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take [%(default)s]")
    parser.add_argument("--examples", type=Path, default=target / "examples", help="mentor's side [%(default)s]")
    return parser.parse_args()


def compare(args: argparse.Namespace, python: Path, size: tuple[int, int, int], folder: Path) -> None:
    """One line for each peer."""
    files = write_batch(size, folder)
    env = thread_env(args.threads)
    commands = {"mentor": [args.examples / "triplet_bench", "batch", *files, args.seconds]}
    commands |= {peer: [python, HERE / "peers" / "ranking_peers.py", peer, *files, args.seconds] for peer in PEERS}
    best: dict[str, dict] = {}
    for _ in range(args.rounds):
        for name, command in commands.items():
            result = run_child(command, env, args.timeout).json()
            if name not in best or result["secs"] < best[name]["secs"]:
                best[name] = result
    ours = best.pop("mentor")
    for peer, theirs in best.items():
        for field in ["loss", "gradient_norm"]:
            if abs(theirs[field] - ours[field]) > 1e-3 * abs(ours[field]):
                raise Failed(f"{peer} computes another {field}: {theirs[field]}, mentor {ours[field]}")
        columns = [*map(str, size), ms(ours), peer, ms(theirs), f"{theirs['secs'] / ours['secs']:.1f}"]
        print(f"| {' | '.join(columns)} | {ours['loss']:.6f}, {theirs['loss']:.6f} |", flush=True)


def alone(args: argparse.Namespace, size: tuple[int, int, int], form: str, threads: int, folder: Path) -> None:
    """One size that the peers have no memory for."""
    command = [args.examples / "triplet_bench", form, *write_batch(size, folder), args.seconds]
    child = run_child(command, thread_env(threads), args.timeout)
    result = child.json()
    columns = [*map(str, size), ms(result), f"none ({form}, threads: {threads})"]
    memory = f"{child.peak_rss_bytes / 2**20:.0f} MiB, {result['num_active']:,} active"
    print(f"| {' | '.join(columns)} | | | {memory} |", flush=True)


def retrieval(args: argparse.Namespace, python: Path | None, size: tuple[int, int, int], kind: str, folder: Path) -> None:
    """One evaluation, once on each side: the peer's takes minutes."""
    files = write_batch(size, folder, RETRIEVAL[kind])
    child = run_child([args.examples / "retrieval_bench", *files], thread_env(args.threads), args.timeout)
    ours = child.json()
    peer = "none"
    if python is not None:
        theirs = run_child([python, HERE / "peers" / "retrieval_peer.py", *files], thread_env(args.threads), args.timeout).json()
        # Its distances are in f32, in which near samples may change places.
        if any(abs(ours[name] - theirs[name]) > 1e-4 for name in METRICS):
            raise Failed(f"the peer finds {theirs}, mentor {ours}")
        peer = f"{theirs['secs']:.2f} s, {theirs['secs'] / ours['secs']:.1f} times"
    found = ", ".join(f"{ours[name]:.6f}" for name in METRICS)
    columns = [*map(str, size[:2]), kind, f"{ours['secs']:.2f} s", f"{child.peak_rss_bytes / 2**20:.0f} MiB", peer, found]
    print(f"| {' | '.join(columns)} |", flush=True)


def ms(result: dict) -> str:
    return f"{1000 * result['secs']:,.2f} ms"


def write_batch(size: tuple[int, int, int], folder: Path, spread: float = 0.3) -> list[Path]:
    """Unit vectors around a centre for each class, the same for the same size; row by row, for this process must stay small."""
    num_samples, dim, num_classes = size
    draw = random.Random(num_samples)
    centres = [[draw.gauss(0, spread) for _ in range(dim)] for _ in range(num_classes)]
    files = [folder / "embeddings.f32", folder / "labels.u32"]
    with files[0].open("wb") as embeddings, files[1].open("wb") as labels:
        for sample in range(num_samples):
            row = [centre + draw.gauss(0, 0.5) for centre in centres[sample % num_classes]]
            length = sum(value * value for value in row) ** 0.5
            embeddings.write(struct.pack(f"<{dim}f", *(value / length for value in row)))
            labels.write(struct.pack("<I", sample % num_classes))
    return files


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"error: {failure}")
