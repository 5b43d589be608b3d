"""Optima of linear classifiers from scikit-learn and LIBLINEAR.

    linear_optima.py                     the digits: golden/linear_optima.json
    linear_optima.py --fashion DIR       5,000 images of Fashion-MNIST (IDX): golden/fashion_optima.json

Objectives are mentor's, mean loss + l2 * sum of squared weights, evaluated in double precision at the weights
that the solver returned.

scikit-learn and LIBLINEAR minimise sum w^2 / 2 + C * sum of losses, so that C = 1 / (2 * l2 * N).
LogisticRegression does not penalise its intercept, as mentor; LinearSVC does, so that it is compared without
one. A fit that takes longer than --limit is left out, and said so.
"""

import argparse
import gzip
import json
import multiprocessing
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAMBDAS = (1.0, 1e-2, 1e-4, 1e-6)


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--fashion", type=pathlib.Path, help="folder of IDX files")
    parser.add_argument("--limit", type=float, default=600, help="seconds of a fit at most [%(default)s]")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    features, targets = fashion(args.fashion) if args.fashion else digits()
    name = "fashion_optima" if args.fashion else "linear_optima"
    cases = []
    for solver in ("lbfgs", "LIBLINEAR -s 4", "newton-cholesky"):
        for l2 in LAMBDAS:
            if objective := within(args.limit, optimum, solver, l2, features, targets):
                is_softmax = solver != "LIBLINEAR -s 4"
                loss = "softmax" if is_softmax else "crammer-singer"
                case = {"loss": loss, "bias": is_softmax, "l2": l2, "solver": solver, "objective": objective}
                cases.append(case)
                print(case, flush=True)
                made_with = f"numpy {np.__version__}, scikit-learn {sklearn.__version__}"
                result = {"made_with": made_with, "cases": cases}
                (ROOT / f"reference/golden/{name}.json").write_text(json.dumps(result, indent=1) + "\n")
            else:
                print(f"{solver} at {l2}: not within {args.limit:g} s", flush=True)


def digits():
    with gzip.open(ROOT / "crates/mentor-data/data/digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :64] / 16, table[:, 64].astype(int)


def fashion(folder):
    """The first 5,000 training images, pixels in single precision as mentor has them."""
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 5000 * 784), np.uint8, offset=16).reshape(5000, 784)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        targets = np.frombuffer(file.read(8 + 5000), np.uint8, offset=8).astype(int)
    return (pixels.astype(np.float32) / np.float32(255)).astype(np.float64), targets


def optimum(solver, l2, features, targets):
    c = 1 / (2 * l2 * len(targets))
    if solver == "LIBLINEAR -s 4":
        model = LinearSVC(C=c, multi_class="crammer_singer", fit_intercept=False, tol=1e-8, max_iter=200_000)
        model.fit(features, targets)
        return crammer_singer_objective(features @ model.coef_.T, targets, model.coef_, l2)
    model = LogisticRegression(C=c, solver=solver, tol=1e-10, max_iter=100_000).fit(features, targets)
    return softmax_objective(model.decision_function(features), targets, model.coef_, l2)


def softmax_objective(scores, targets, weights, l2):
    shifted = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    return float(losses.mean() + l2 * (weights**2).sum())


def crammer_singer_objective(scores, targets, weights, l2):
    rows = np.arange(len(targets))
    terms = scores - scores[rows, targets][:, None] + 1
    terms[rows, targets] = 0
    return float(terms.max(axis=1).clip(0).mean() + l2 * (weights**2).sum())


def within(limit, function, *values):
    """What the function returns, computed in a process that is ended after the limit; else nothing."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(function(*values)))
    child.start()
    found = receiver.recv() if receiver.poll(limit) else None
    child.kill()
    child.join()
    return found


if __name__ == "__main__":
    main()
