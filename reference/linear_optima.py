"""Optima of linear classifiers on the digits, from scikit-learn and LIBLINEAR.

Writes golden/linear_optima.json: objectives by mentor's definition, mean loss + l2 * sum of squared weights, evaluated in double
precision at the weights that the solver returned.

scikit-learn and LIBLINEAR minimise sum w^2 / 2 + C * sum of losses, so that C = 1 / (2 * l2 * N). LogisticRegression does not penalise its
intercept, as mentor; LinearSVC does, so that it is compared without one.
"""

import gzip
import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

ROOT = pathlib.Path(__file__).resolve().parent.parent


def softmax_objective(scores, targets, weights, l2):
    shifted = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    return losses.mean() + l2 * (weights**2).sum()


def crammer_singer_objective(scores, targets, weights, l2):
    rows = np.arange(len(targets))
    terms = scores - scores[rows, targets][:, None] + 1
    terms[rows, targets] = 0
    return terms.max(axis=1).clip(0).mean() + l2 * (weights**2).sum()


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    with gzip.open(ROOT / "crates/mentor-data/data/digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    features, targets = table[:, :64] / 16, table[:, 64].astype(int)
    cases = []
    for l2 in (1.0, 1e-2, 1e-4, 1e-6):
        c = 1 / (2 * l2 * len(targets))
        for solver in ("lbfgs", "newton-cholesky"):
            model = LogisticRegression(C=c, solver=solver, tol=1e-10, max_iter=100_000).fit(features, targets)
            scores = model.decision_function(features)
            objective = softmax_objective(scores, targets, model.coef_, l2)
            cases.append({"loss": "softmax", "bias": True, "l2": l2, "solver": solver, "objective": objective})
            print(cases[-1], flush=True)
    for l2 in (1.0, 1e-2, 1e-4):
        c = 1 / (2 * l2 * len(targets))
        model = LinearSVC(C=c, multi_class="crammer_singer", fit_intercept=False, tol=1e-10, max_iter=200_000)
        model.fit(features, targets)
        objective = crammer_singer_objective(features @ model.coef_.T, targets, model.coef_, l2)
        cases.append({"loss": "crammer-singer", "bias": False, "l2": l2, "solver": "LIBLINEAR -s 4", "objective": objective})
        print(cases[-1], flush=True)
    result = {"made_with": f"numpy {np.__version__}, scikit-learn {sklearn.__version__}", "cases": cases}
    (ROOT / "reference/golden/linear_optima.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
