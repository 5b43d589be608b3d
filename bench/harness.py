"""Running one side, reading its figures, and writing tables. Standard library only."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path


class Failed(Exception):
    """A side that did not give its figures; the message says which and why."""


@dataclass
class Child:
    """A process that ended with status 0."""

    stdout: str
    wall_secs: float
    peak_rss_bytes: int

    def json(self) -> dict:
        """The last line of standard output that is a JSON object, or the whole of it."""
        text = self.stdout.strip()
        for candidate in (text, text.splitlines()[-1] if text else ""):
            try:
                return json.loads(candidate)
            except ValueError:
                continue
        raise Failed(f"no JSON on standard output, but: {text[:200]!r}")


def thread_env(threads: int) -> dict[str, str]:
    """The environment of both sides: the same number of threads, whatever library they use."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]
    return {**os.environ, **{name: str(threads) for name in names}, "PYTHONWARNINGS": "ignore"}


def run_child(command: list, env: dict[str, str], timeout_secs: float) -> Child:
    """Runs a command to its end. Peak memory comes from the kernel (wait4), the same way for both sides; on Linux it is no
    less than the peak of this process so far, which must stay small."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        status, usage = wait(process, start + timeout_secs, command)
        wall_secs = time.perf_counter() - start
        out.seek(0), err.seek(0)
        stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if status != 0:
        reason = stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
        raise Failed(f"exit status {status}: {reason[0]} [{' '.join(command)}]")
    unit = 1 if sys.platform == "darwin" else 1024
    return Child(stdout, wall_secs, usage.ru_maxrss * unit)


def wait(process: subprocess.Popen, deadline: float, command: list[str]):
    """Waits for the process with a deadline and returns its exit status and resource usage."""
    start = time.perf_counter()
    while True:
        pid, raw, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(raw)
            return process.returncode, usage
        if time.perf_counter() > deadline:
            process.kill()
            process.wait()
            raise Failed(f"ran past its time limit [{' '.join(command)}]")
        # Short processes are watched closely: the pause adds at most 2 % to what is measured.
        time.sleep(min(0.05, max(0.0001, (time.perf_counter() - start) / 50)))


@dataclass
class Series:
    """The figures of one side over the rounds: one representative time a round, and what it reached."""

    name: str
    secs: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    notes: dict = field(default_factory=dict)
    error: str | None = None

    def add(self, secs: float, rss_bytes: int, **notes) -> None:
        """One round. A later round replaces the notes of an earlier one."""
        self.secs.append(secs)
        self.rss_bytes.append(rss_bytes)
        self.notes.update(notes)

    def time_cell(self) -> str:
        """`median (min to max)` over the rounds."""
        if not self.secs:
            return "failed" if self.error else "not run"
        median, low, high = statistics.median(self.secs), min(self.secs), max(self.secs)
        return f"{seconds(median)} ({seconds(low)} to {seconds(high)})"

    def rss_cell(self) -> str:
        return f"{max(self.rss_bytes) / 2**20:.0f} MiB" if self.rss_bytes else "-"


def ratio_cell(mentor: Series, peer: Series) -> str:
    """Median over median, and its range over the rounds, each round against its own neighbour."""
    if not (mentor.secs and peer.secs):
        return "-"
    ratio = statistics.median(mentor.secs) / statistics.median(peer.secs)
    rounds = [m / p for m, p in zip(mentor.secs, peer.secs)]
    return f"**{significant(ratio)}** ({significant(min(rounds))} to {significant(max(rounds))})"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, never in scientific notation."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def seconds(value: float) -> str:
    """Seconds with a readable unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{significant(value * factor)} {unit}"
    return f"{significant(value * 1e6)} µs"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose source is aligned, so that it also reads well in a terminal."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines
    )


def machine_line(threads: int) -> str:
    """Processor, CPUs, threads of both sides, memory, system, and how busy the machine already was."""
    model, flags, memory = platform.processor() or platform.machine(), [], ""
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.is_file():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        model = fields.get("model name", model)
        flags = [flag for flag in ("fma", "avx2", "avx512f", "amx_tile") if flag in fields.get("flags", "").split()]
    if meminfo.is_file():
        memory = f", {int(meminfo.read_text().split()[1]) / 2**20:.0f} GiB of memory"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    extras = f" ({' '.join(flags)})" if flags else ""
    return (
        f"{model}{extras}, {cpus} CPUs{memory}, {platform.system()} {platform.release()}; "
        f"{threads} threads on both sides; load average at the start {os.getloadavg()[0]:.2f}"
    )
