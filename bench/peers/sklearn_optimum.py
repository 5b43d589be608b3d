#!/usr/bin/env python3
"""How long scikit-learn's solvers take to a true relative suboptimality, on an IDX data set such as Fashion-MNIST.

    sklearn_optimum.py lbfgs|newton-cg|newton-cholesky|saga|liblinear-cs --l2 1e-4 --optimum 0.3960236527

Pixels are divided by 255. The objective is mentor's, evaluated in double precision. Of lbfgs and both Newton solvers each point that they evaluate is
kept with its time, and judged afterwards: one fit tells when each target was met. saga and LIBLINEAR show no points, so they are run again and again
from zero weights, and the time of the fit that meets the target counts: saga with 1, 2, 4 … iterations, at most twice what it would need; LIBLINEAR,
which takes no number of iterations with -s 4, with the tolerance 1, 0.3, 0.1 …. Prints one JSON object: CPU seconds and seconds for each target that
was met within the limit, and all that was tried.
"""

import argparse
import itertools
import multiprocessing
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from common import emit, load
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model._linear_loss import LinearModelLoss
from sklearn.svm import LinearSVC

# What each solver calls once for every point that it moves to.
EVALUATES = {"lbfgs": "loss_gradient", "newton-cg": "gradient_hessian_product", "newton-cholesky": "gradient_hessian"}

# Of LIBLINEAR's first two fits; the next are a tenth of the last but one.
TOLERANCES = [1.0, 0.3]


class TimeOver(Exception):
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solver", choices=[*EVALUATES, "saga", "liblinear-cs"])
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--samples", type=int, help="only the first so many")
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--l1", type=float, default=0.0)
    parser.add_argument("--optimum", type=float, required=True, help="a lower bound on the objective, such as mentor's dual value")
    parser.add_argument("--targets", default="1e-3,1e-6")
    parser.add_argument("--limit", type=float, default=300, help="CPU seconds for one fit before giving up")
    args = parser.parse_args()
    images, labels = load(args.data, "train", args.samples)
    features = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    if args.solver == "liblinear-cs":
        # LIBLINEAR wants doubles: the copy is no part of its time.
        features = features.astype(np.float64)
    targets = sorted((float(text) for text in args.targets.split(",")), reverse=True)
    tried = (trace if args.solver in EVALUATES else doubled)(args, features, labels, targets)
    reached = {}
    for target in targets:
        met = (fit for fit in tried if (fit["objective"] - args.optimum) / args.optimum <= target)
        reached |= {repr(target): fit for fit in list(met)[:1]}
    last = tried[-1] | {"suboptimality": (tried[-1]["objective"] - args.optimum) / args.optimum}
    emit({"peer": f"scikit-learn {sklearn.__version__}", "solver": args.solver, "reached": reached, "last": last, "tried": tried})


def trace(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray, _targets: list[float]) -> list[dict]:
    """The points of one fit, stopped at the limit, that bisection for the targets needs."""
    points = []
    name = EVALUATES[args.solver]
    original = getattr(LinearModelLoss, name)
    begin = time.perf_counter(), time.process_time()

    def recorded(self, coef, *rest, **named):
        secs, cpu_secs = time.perf_counter() - begin[0], time.process_time() - begin[1]
        points.append((secs, cpu_secs, np.array(coef, np.float64)))
        if cpu_secs > args.limit:
            raise TimeOver
        return original(self, coef, *rest, **named)

    setattr(LinearModelLoss, name, recorded)
    model = LogisticRegression(solver=args.solver, C=1 / (2 * args.l2 * len(labels)), tol=1e-12, max_iter=100_000)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(features, labels)
    except TimeOver:
        pass
    # Judging all points would cost as much as the fit.
    judged = {}

    def judge(place: int) -> float:
        if place not in judged:
            secs, cpu_secs, coef = points[place]
            weights = coef.reshape((-1, features.shape[1] + 1), order="F") if coef.ndim == 1 else coef
            value = objective(args, features, labels, weights[:, :-1], weights[:, -1])
            judged[place] = {"iterations": place, "secs": secs, "cpu_secs": cpu_secs, "objective": value}
        return (judged[place]["objective"] - args.optimum) / args.optimum

    judge(len(points) - 1)
    for target in (float(text) for text in args.targets.split(",")):
        # The objective falls, but for trial points of a line search: bisection finds where it comes below.
        low, high = 0, len(points) - 1
        if judge(high) > target:
            continue
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if judge(middle) <= target else (middle + 1, high)
    return [judged[place] for place in sorted(judged)]


def doubled(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray, targets: list[float]) -> list[dict]:
    tried = []
    for attempt in itertools.count():
        # The next fit of saga takes twice as long.
        if tried and (2 if args.solver == "saga" else 1) * tried[-1]["cpu_secs"] > args.limit:
            break
        effort = 2**attempt if args.solver == "saga" else TOLERANCES[attempt % 2] * 10.0 ** -(attempt // 2)
        tried += [found] if (found := in_a_child(args, features, labels, effort)) else []
        enough = tried and (tried[-1]["objective"] - args.optimum) / args.optimum <= targets[-1]
        if not found or enough or tried[-1]["ended_early"] or effort < 1e-12:
            break
    if not tried:
        raise SystemExit(f"error: no fit within {args.limit:g} s")
    return tried


def in_a_child(*task) -> dict | None:
    """What `run` finds, in a process that is ended after the limit: LIBLINEAR cannot be interrupted."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(run(*task)))
    child.start()
    found = receiver.recv() if receiver.poll(1.2 * task[0].limit + 10) else None
    child.kill()
    child.join()
    return found


def run(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray, effort: float) -> dict:
    penalty = args.l1 if args.l1 > 0 else 2 * args.l2
    c = 1 / (penalty * len(labels))
    if args.solver == "liblinear-cs":
        model = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=c, tol=effort)
    else:
        l1_ratio = 1.0 if args.l1 > 0 else 0.0
        settings = {"tol": 1e-12, "max_iter": effort, "random_state": 0}
        model = LogisticRegression(solver="saga", l1_ratio=l1_ratio, C=c, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wall, cpu = time.perf_counter(), time.process_time()
        model.fit(features, labels)
        secs, cpu_secs = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "iterations" if args.solver == "saga" else "tolerance": effort,
        "secs": secs,
        "cpu_secs": cpu_secs,
        "objective": objective(args, features, labels, model.coef_, np.asarray(model.intercept_)),
        "ended_early": args.solver == "saga" and int(np.max(model.n_iter_)) < effort,
    }


def objective(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> float:
    weights, bias = weights.astype(np.float64), bias.astype(np.float64)
    total = 0.0
    for first in range(0, len(labels), 4096):
        y = labels[first : first + 4096]
        scores = features[first : first + 4096].astype(np.float64) @ weights.T + bias
        rows = np.arange(len(y))
        if args.solver == "liblinear-cs":
            terms = scores - scores[rows, y][:, None] + 1
            terms[rows, y] = 0
            total += terms.max(axis=1).clip(0).sum()
        else:
            largest = scores.max(axis=1)
            total += (np.log(np.exp(scores - largest[:, None]).sum(axis=1)) + largest - scores[rows, y]).sum()
    return total / len(labels) + args.l2 * (weights**2).sum() + args.l1 * np.abs(weights).sum()


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
