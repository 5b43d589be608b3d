"""Runs one part of `mentor embed`, `label` or `predict` as each task of Ray; a part that fails is tried again.

    python deploy/ray_tasks.py 16 mentor embed runs/a photos/ --out features/
"""

import os
import subprocess
import sys

import ray

NUM_CPUS = int(os.environ.get("MENTOR_CPUS", "1"))


@ray.remote(num_cpus=NUM_CPUS, max_retries=3, retry_exceptions=True)
def part(index: int, count: int, command: list[str]) -> str:
    """Runs one part; what it says is returned, or is in the error."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(NUM_CPUS))
    command = [*command, "--shard", f"{index}/{count}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"part {index} of {count}: exit status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def main() -> None:
    if len(sys.argv) < 3 or not sys.argv[1].isdigit() or int(sys.argv[1]) < 1:
        sys.exit(__doc__)
    count, command = int(sys.argv[1]), sys.argv[2:]
    ray.init(log_to_driver=False)
    waiting = {part.remote(index, count, command): index for index in range(count)}
    failed = 0
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        index = waiting.pop(done[0])
        try:
            print(f"{index}/{count}: {ray.get(done[0]).strip()}")
        except Exception as error:  # Of the task, or of a lost machine.
            failed += 1
            print(f"{index}/{count}: {error}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
