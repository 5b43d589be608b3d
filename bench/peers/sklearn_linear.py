#!/usr/bin/env python3
"""Linear classifiers of scikit-learn on an IDX data set such as Fashion-MNIST.

    sklearn_linear.py sgd --loss log_loss     seconds per epoch of SGDClassifier, test accuracy after the last one
    sklearn_linear.py sgd --loss hinge        the same for its SVM (one-vs-rest)
    sklearn_linear.py lbfgs --target 0.487    LogisticRegression: time until the training NLL is at most the target

Prints one JSON object. `scaling` is what happens to the bytes: `unit` is x/255, `channel` subtracts the training
mean and divides by the training deviation (one number each, as mentor does), `feature` does so for every pixel.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import sklearn
from common import cpu_count, emit, load, peak_rss_bytes
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

IMPORT_RSS_BYTES = peak_rss_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["sgd", "lbfgs"])
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--train-samples", type=int, help="use only the first N training samples")
    parser.add_argument("--scaling", choices=["unit", "channel", "feature"], default="unit")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", choices=["log_loss", "hinge"], default="log_loss", help="of sgd")
    parser.add_argument("--epochs", type=int, default=5, help="of sgd")
    parser.add_argument("--target", type=float, default=0.487, help="of lbfgs: the training NLL to reach, in nats")
    parser.add_argument("--max-iterations", type=int, default=256, help="of lbfgs: give up past so many")
    parser.add_argument("--iterations", type=int, help="of lbfgs: no search, time one fit of so many iterations")
    args = parser.parse_args()

    train, test = prepare(args)
    result = sgd(args, train, test) if args.task == "sgd" else lbfgs(args, train, test)
    emit(
        {
            "peer": f"scikit-learn {sklearn.__version__}",
            "task": args.task,
            "num_train": len(train[0]),
            "scaling": args.scaling,
            "dtype": args.dtype,
            "threads": args.threads,
            **result,
            "import_rss_bytes": IMPORT_RSS_BYTES,
            "peak_rss_bytes": peak_rss_bytes(),
        }
    )


def prepare(args: argparse.Namespace) -> tuple[tuple, tuple]:
    """Reads both splits and scales them: ((images, labels), (images, labels)), images [N, 784]."""
    train_images, train_labels = load(args.data, "train", args.train_samples)
    test_images, test_labels = load(args.data, "test")
    train, test = (
        images.reshape(len(images), -1).astype(args.dtype) / np.dtype(args.dtype).type(255)
        for images in (train_images, test_images)
    )
    if args.scaling != "unit":
        mean, std = moments(train_images, per_feature=args.scaling == "feature")
        for images in (train, test):
            images -= mean.astype(args.dtype)
            images /= std.astype(args.dtype)
    return (train, train_labels), (test, test_labels)


def moments(images: np.ndarray, per_feature: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of x/255, summed over slices: a second copy of the images would count as peak memory."""
    features = images.reshape(len(images), -1)
    total, squares = np.zeros(features.shape[1], np.int64), np.zeros(features.shape[1], np.int64)
    for first in range(0, len(features), 1024):
        part = features[first : first + 1024].astype(np.int64)
        total += part.sum(axis=0)
        squares += (part * part).sum(axis=0)
    mean, square = total / len(features), squares / len(features)
    if not per_feature:
        mean, square = mean.mean(), square.mean()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    # A pixel that never changes carries nothing; dividing it by 1 keeps it finite.
    return np.asarray(mean / 255), np.where(deviation > 0, deviation, 255) / 255


def sgd(args: argparse.Namespace, train: tuple, test: tuple) -> dict:
    """One partial_fit an epoch: the same updates as fit(max_iter=epochs, tol=None), but each epoch can be timed."""
    model = SGDClassifier(loss=args.loss, random_state=args.seed, n_jobs=args.threads)
    classes = np.unique(train[1])
    epoch_secs = []
    for _ in range(args.epochs):
        start = time.perf_counter()
        model.partial_fit(*train, classes=classes)
        epoch_secs.append(time.perf_counter() - start)
    result = {"loss": args.loss, "epoch_secs": epoch_secs, "test_accuracy": float(model.score(*test))}
    if args.loss == "log_loss":
        result["train_nll"] = float(log_loss(train[1], model.predict_proba(train[0])))
    return result


def lbfgs(args: argparse.Namespace, train: tuple, test: tuple) -> dict:
    """The fewest iterations that reach the target, and how long one fit with as many takes.

    The solver has no target of its own, so the number of iterations is doubled until the NLL is low enough, then
    halved down to the smallest that is. The NLL of the training set falls with every iteration.
    """
    if args.iterations:
        once = fit_lbfgs(args.iterations, train, test, args.threads)
        return {"target": args.target, "reached": once["train_nll"] <= args.target, **once}
    tried = [fit_lbfgs(8, train, test, args.threads)]
    while tried[-1]["train_nll"] > args.target and tried[-1]["iterations"] < args.max_iterations:
        tried.append(fit_lbfgs(2 * tried[-1]["iterations"], train, test, args.threads))
    best = tried[-1]
    reached = best["train_nll"] <= args.target
    too_few = tried[-2]["iterations"] if len(tried) > 1 else 0
    while reached and best["iterations"] - too_few > 1:
        tried.append(fit_lbfgs((best["iterations"] + too_few) // 2, train, test, args.threads))
        if tried[-1]["train_nll"] <= args.target:
            best = tried[-1]
        else:
            too_few = tried[-1]["iterations"]
    return {"target": args.target, "reached": reached, **best, "tried": tried}


def fit_lbfgs(iterations: int, train: tuple, test: tuple, threads: int) -> dict:
    """One fit from zero weights."""
    model = LogisticRegression(max_iter=iterations, tol=1e-12)
    with threadpool_limits(threads):
        start = time.perf_counter()
        model.fit(*train)
        fit_secs = time.perf_counter() - start
    return {
        "iterations": int(model.n_iter_[0]),
        "fit_secs": fit_secs,
        "train_nll": float(log_loss(train[1], model.predict_proba(train[0]))),
        "test_accuracy": float(model.score(*test)),
    }


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    # Stopping before convergence is the point here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
