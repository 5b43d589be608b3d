"""What is measured: each section runs mentor and its peers in turns and prints one table."""

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness import Child, Failed, Series, ratio_cell, run_child, table

HEADER = ["job", "mentor", "peer", "peer's time", "mentor / peer", "reached: mentor, peer", "memory: mentor, peer"]
EPOCHS = 5
# The NLL that scikit-learn's LogisticRegression reaches in its first seconds; both sides are timed to the same value.
TARGET_NLL = 0.487
MAX_OBJECTIVE_EPOCHS = 16
# Of `cnn`, for both sides: a test accuracy of 0.92 in few epochs.
CNN_RECIPE = ["--batch-size", 64, "--learning-rate", 0.03, "--warmup-epochs", 0.3, "--dropout", 0.25, "--l2", 1e-4]
CNN_EPOCHS = 3
SCALINGS = {"unit": "x/255", "feature": "standardised pixels"}


@dataclass
class Bench:
    """The two sides and how long to run them."""

    python: Path
    peers: Path
    mentor: Path | None
    step_bench: Path | None
    mentor_sets: list[str]
    data: Path
    rounds: int
    steps: int
    threads: int
    compile: bool
    env: dict[str, str]
    timeout_secs: float
    errors: list[str] = field(default_factory=list)

    def child(self, *command) -> Child:
        return run_child(list(command), self.env, self.timeout_secs)

    def peer(self, script: str, *arguments) -> tuple[dict, int]:
        """The JSON of a peer and its peak memory when its work was done: torch's exit alone adds 100 MiB."""
        child = self.child(self.python, self.peers / script, "--data", self.data, *arguments)
        found = child.json()
        return found, found["peak_rss_bytes"]

    def versions(self) -> str:
        """mentor and the peers, as they name themselves."""
        found = []
        if self.mentor and self.mentor.is_file():
            found.append(self.child(self.mentor, "--version").stdout.strip())
        if self.python.is_file():
            code = "from importlib.metadata import version; import platform; "
            code += "print(f'Python {platform.python_version()}', *(f'{name} {version(name)}' for name in ('numpy', 'scikit-learn', 'torch')), sep=', ')"
            found.append(self.child(self.python, "-c", code).stdout.strip())
        return ", ".join(found)

    def turn(self, series: Series, measure: Callable[[], None]) -> None:
        """One turn of one side. A side that failed once is reported and left out from then on."""
        if series.error:
            return
        try:
            measure()
        except (Failed, KeyError, OSError, ValueError) as failure:
            series.error = f"{series.name}: {type(failure).__name__}: {failure}"
            self.errors.append(series.error)

    def mentor_train(self, out: Path, epochs: int, *recipe: object) -> tuple[list[float], int]:
        """Trains with mentor's defaults where the recipe says nothing: the seconds of each epoch and the peak memory."""
        sets = [part for assignment in self.mentor_sets for part in ("--set", assignment)]
        child = self.child(
            self.mentor, "train", "--data", self.data, *recipe,
            "--epochs", epochs, "--quiet", "--json", "--out", out, *sets,
        )  # fmt: skip
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        epoch_secs = [line["train_secs"] for line in lines if line["kind"] == "epoch"]
        if len(epoch_secs) != epochs:
            raise Failed(f"{out}/metrics.jsonl has {len(epoch_secs)} epochs")
        return epoch_secs, child.peak_rss_bytes

    def mentor_eval(self, out: Path, split: str) -> dict:
        return self.child(self.mentor, "eval", out, "--data", self.data, "--split", split, "--json").json()


def row(job: str, mentor: Series, peer: Series, reached: Callable[[Series], str]) -> list[str]:
    def pair(of: Callable[[Series], str]) -> str:
        return f"{of(mentor) if mentor.secs else '-'}, {of(peer) if peer.secs else '-'}"

    ratio = ratio_cell(mentor, peer)
    return [job, mentor.time_cell(), peer.name, peer.time_cell(), ratio, pair(reached), pair(Series.rss_cell)]


def figures(*series: Series) -> list[dict]:
    """For --json."""
    return [vars(each) for each in series]


def linear(bench: Bench) -> list[dict]:
    """Seconds per epoch, median of five, and the accuracy after them."""
    rows, everything = [], []
    for loss, peer_loss in (("softmax", "log_loss"), ("svm", "hinge")):
        mentor = Series(f"mentor {loss}")
        peers = {scaling: Series(f"SGDClassifier({peer_loss}), {name}") for scaling, name in SCALINGS.items()}

        def measure_mentor():
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                epoch_secs, rss = bench.mentor_train(out, EPOCHS, "--model", "linear", "--loss", loss)
                accuracy = bench.mentor_eval(out, "test")["accuracy"]
                num_train = bench.mentor_eval(out, "train")["num_samples"]
            mentor.add(statistics.median(epoch_secs), rss, accuracy=accuracy, num_train=num_train)

        def measure_peer(scaling: str):
            # As many samples as mentor trained on: it holds some out for validation.
            same = ["--train-samples", mentor.notes["num_train"]] if mentor.secs else []
            found, rss = bench.peer(
                "sklearn_linear.py", "sgd", "--loss", peer_loss, "--epochs", EPOCHS,
                "--scaling", scaling, "--threads", bench.threads, *same,
            )  # fmt: skip
            secs, accuracy = statistics.median(found["epoch_secs"]), found["test_accuracy"]
            peers[scaling].add(secs, rss, accuracy=accuracy, num_train=found["num_train"])

        for _ in range(bench.rounds):
            if bench.mentor:
                bench.turn(mentor, measure_mentor)
            for scaling, peer in peers.items():
                bench.turn(peer, lambda: measure_peer(scaling))
        for peer in peers.values():
            samples = peer.notes.get("num_train", "?")
            job = f"linear {loss}, one epoch of {samples}"
            rows.append(row(job, mentor, peer, lambda side: f"{side.notes['accuracy']:.4f}"))
        everything += figures(mentor, *peers.values())
    print(table(HEADER, rows) + f"\n\nReached: test accuracy after {EPOCHS} epochs.", flush=True)
    return everything


def objective(bench: Bench) -> list[dict]:
    """Seconds of training until the NLL of the training set is at most the target."""
    mentor = Series("mentor softmax")
    peers = {scaling: Series(f"LogisticRegression(lbfgs), {name}") for scaling, name in SCALINGS.items()}
    epochs, settings = None, {}

    def measure_mentor():
        nonlocal epochs
        # The schedule depends on the length of the run, so each length is a run of its own, from the shortest.
        for length in [epochs] if epochs else range(1, MAX_OBJECTIVE_EPOCHS + 1):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                epoch_secs, rss = bench.mentor_train(out, length, "--model", "linear", "--loss", "softmax")
                reached = bench.mentor_eval(out, "train")
            nll = reached["data_loss"]
            if nll <= TARGET_NLL:
                epochs = length
                work = f"{length} epochs"
                mentor.add(sum(epoch_secs), rss, nll=nll, work=work, num_train=reached["num_samples"])
                return
        raise Failed(f"NLL {nll:.4f} after {length} epochs; the target is {TARGET_NLL}")

    def measure_peer(scaling: str):
        same = ["--train-samples", mentor.notes["num_train"]] if mentor.secs else []
        common = ["sklearn_linear.py", "lbfgs", "--target", TARGET_NLL, "--scaling", scaling, *same]
        if scaling not in settings:
            # How many iterations it takes, then whether one thread is faster: the peer gets its better setting.
            found, _ = bench.peer(*common, "--threads", bench.threads)
            if not found["reached"]:
                raise Failed(f"NLL {found['train_nll']:.4f} after {found['iterations']} iterations")
            timed = {}
            for threads in {1, bench.threads}:
                once, _ = bench.peer(*common, "--threads", threads, "--iterations", found["iterations"])
                timed[threads] = once["fit_secs"]
            settings[scaling] = ["--threads", min(timed, key=timed.get), "--iterations", found["iterations"]]
        found, rss = bench.peer(*common, *settings[scaling])
        work = f"{found['iterations']} iterations on {found['threads']} thread(s)"
        peers[scaling].add(found["fit_secs"], rss, nll=found["train_nll"], work=work)

    for _ in range(bench.rounds):
        if bench.mentor:
            bench.turn(mentor, measure_mentor)
        for scaling, peer in peers.items():
            bench.turn(peer, lambda: measure_peer(scaling))

    def reached(side: Series) -> str:
        return f"{side.notes['nll']:.4f} in {side.notes['work']}"

    rows = [row(f"training NLL ≤ {TARGET_NLL}", mentor, peer, reached) for peer in peers.values()]
    print(table(HEADER, rows) + "\n\nReached: NLL of the training samples, in nats.", flush=True)
    return figures(mentor, *peers.values())


def steps(bench: Bench) -> list[dict]:
    """One training step: forward, loss, backward, update. A round is the median of its steps."""
    cases = [
        ("linear", "softmax", 128), ("linear", "softmax", 1024), ("linear", "svm", 128), ("linear", "svm", 1024),
        ("mlp:1200,1200", "softmax", 128), ("cnn", "softmax", 128), ("wrn-16-2", "softmax", 64),
        ("vit-4-192-4", "softmax", 64),
    ]  # fmt: skip
    rows, everything = [], []
    for model, loss, batch_size in cases:
        convolutional = model.startswith(("cnn", "wrn"))
        variants = {"torch eager": []}
        if convolutional:
            variants["torch channels_last"] = ["--memory-format", "channels_last"]
        if bench.compile:
            variants["torch compile"] = ["--compile"]
        mentor, peers = Series(f"mentor {model}"), {name: Series(name) for name in variants}
        common = ["--model", model, "--batch-size", batch_size, "--steps", bench.steps]

        def measure_mentor():
            softmax_is_default = [] if loss == "softmax" else ["--loss", loss]
            child = bench.child(bench.step_bench, *common, *softmax_is_default, "--json")
            found = child.json()
            secs, waits = found["step_secs"], found.get("loader_wait_secs") or []
            reached = f"{100 * sum(waits) / (sum(secs) + sum(waits)):.1f} % waiting" if waits else "-"
            num_params = found.get("num_params")
            mentor.add(statistics.median(secs), found["peak_rss_bytes"], reached=reached, num_params=num_params)

        def measure_peer(name: str):
            settings = ["--loss", loss, "--threads", bench.threads, *variants[name]]
            found, rss = bench.peer("torch_step.py", *common, *settings)
            reached = f"loss {found['first_loss']:.3f} → {found['last_loss']:.3f}"
            secs = statistics.median(found["step_secs"])
            peers[name].add(secs, rss, reached=reached, num_params=found["num_params"])

        for _ in range(bench.rounds):
            if bench.step_bench:
                bench.turn(mentor, measure_mentor)
            for name, peer in peers.items():
                bench.turn(peer, lambda: measure_peer(name))
        sizes = {side.notes.get("num_params") for side in (mentor, *peers.values())} - {None}
        if len(sizes) > 1:
            bench.errors.append(f"{model}: the two sides have different numbers of parameters, {sorted(sizes)}")
        job = f"{model} {loss}, batch {batch_size}"
        rows += [row(job, mentor, peer, lambda side: side.notes["reached"]) for peer in peers.values()]
        everything += figures(mentor, *peers.values())
    legend = "Reached: mentor's share of time waiting for its loader; torch's first and last loss."
    print(f"{table(HEADER, rows)}\n\n{legend}", flush=True)
    return everything


def accuracy(bench: Bench) -> list[dict]:
    """The whole training of `cnn` by one recipe, in as many epochs as both sides need for the goal: 0.92 on the test set."""
    variants = {"torch eager": "contiguous", "torch channels_last": "channels_last"}
    mentor, peers = Series("mentor cnn"), {name: Series(name) for name in variants}

    def measure_mentor():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            epoch_secs, rss = bench.mentor_train(out, CNN_EPOCHS, "--model", "cnn", "--val-fraction", 0.05, *CNN_RECIPE)
            reached = bench.mentor_eval(out, "test")["accuracy"]
            # As `eval` counts them: metrics have only some of the steps of a long run.
            num_train = bench.mentor_eval(out, "train")["num_samples"]
        mentor.add(sum(epoch_secs), rss, accuracy=reached, num_train=num_train)

    def measure_peer(name: str):
        same = ["--train-samples", mentor.notes["num_train"]] if mentor.secs else []
        settings = ["--threads", bench.threads, "--memory-format", variants[name]]
        found, rss = bench.peer("torch_train.py", "--epochs", CNN_EPOCHS, *CNN_RECIPE, *settings, *same)
        peers[name].add(sum(found["epoch_secs"]), rss, accuracy=found["test_accuracy"])

    for _ in range(bench.rounds):
        if bench.mentor:
            bench.turn(mentor, measure_mentor)
        for name, peer in peers.items():
            bench.turn(peer, lambda: measure_peer(name))
    job = f"cnn, {CNN_EPOCHS} epochs"
    rows = [row(job, mentor, peer, lambda side: f"{side.notes['accuracy']:.4f}") for peer in peers.values()]
    print(table(HEADER, rows) + "\n\nReached: test accuracy.", flush=True)
    return figures(mentor, *peers.values())


def startup(bench: Bench) -> list[dict]:
    """From fork to exit of `mentor --help`; the goal is under 20 ms."""
    mentor = Series("mentor --help")
    for _ in range(4 * bench.rounds if bench.mentor else 0):

        def measure():
            child = bench.child(bench.mentor, "--help")
            mentor.add(child.wall_secs, child.peak_rss_bytes)

        bench.turn(mentor, measure)
    print(table(["job", "mentor"], [["mentor --help", mentor.time_cell()]]), flush=True)
    return figures(mentor)


@dataclass
class Section:
    title: str
    run: Callable[[Bench], list[dict]]


SECTIONS = {
    "linear": Section("Linear classifiers against scikit-learn's SGDClassifier: one epoch", linear),
    "objective": Section("Time to the same objective against scikit-learn's LogisticRegression", objective),
    "steps": Section("One training step against PyTorch", steps),
    "accuracy": Section("Training to a test accuracy against PyTorch", accuracy),
    "startup": Section("Start of the binary", startup),
}
