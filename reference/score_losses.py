"""Golden numbers of the losses on scores, from PyTorch and scikit-learn in double precision.

Writes golden/score_losses.json. Values are per sample (reduction="none"); gradients are those of their sum.
"""

import json
import pathlib

import numpy as np
import sklearn
import sklearn.metrics
import torch
import torch.nn.functional as F


def exact(array):
    """Rounded to multiples of 1/64, which f32 holds exactly."""
    return np.round(np.asarray(array, dtype=np.float64) * 64) / 64


def with_gradient(name, loss, scores, **inputs):
    leaf = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    values = loss(leaf)
    values.sum().backward()
    return {
        "name": name,
        **inputs,
        "scores": np.asarray(scores).tolist(),
        "per_sample": values.tolist(),
        "gradient": leaf.grad.tolist(),
    }


def main():
    rng = np.random.default_rng(2)
    num_samples, num_classes = 6, 5
    random = exact(rng.normal(0, 2.5, (num_samples, num_classes)))
    random_targets = rng.integers(0, num_classes, num_samples)
    lecture = [[3.203125, 5.09375, -1.703125], [1.296875, 4.90625, 2.0], [2.203125, 2.5, -3.09375]]
    extreme = [[1e4, -1e4, 0.0], [-1e4, 1e4, 9984.0], [1e4, 1e4, 1e4]]
    batches = {
        "random": (random, random_targets),
        "lecture_rounded": (np.array(lecture), np.array([0, 1, 2])),
        "extreme": (np.array(extreme), np.array([0, 0, 2])),
        "leads_20_and_11": (np.array([[20.0, 0.0, 0.0], [0.0, 11.0, -4.0]]), np.array([0, 1])),
        "one_class": (np.array([[0.5], [-3.0]]), np.array([0, 0])),
    }
    weights = {3: [0.5, 2.0, 1.25], 5: [0.5, 2.0, 1.0, 0.0, 3.5], 1: [2.0]}

    cases = []
    for batch, (scores, targets) in batches.items():
        y = torch.tensor(targets)
        w = weights[scores.shape[1]]
        wt = torch.tensor(w, dtype=torch.float64)
        given = {"targets": targets.tolist()}
        for margin in (1.0, 0.25):
            # The case stores what PyTorch gives: divided by the number of classes.
            loss = lambda s: F.multi_margin_loss(s, y, margin=margin, reduction="none")
            cases.append(with_gradient("multi_margin", loss, scores, batch=batch, margin=margin, **given))
        for smoothing in (0.0, 0.1, 1.0):
            for weighted in (False, True):
                loss = lambda s: F.cross_entropy(
                    s, y, weight=wt if weighted else None, label_smoothing=smoothing, reduction="none")
                extra = {"label_smoothing": smoothing, "class_weights": w if weighted else None}
                cases.append(with_gradient("cross_entropy", loss, scores, batch=batch, **extra, **given))

    raw = exact(rng.uniform(0, 1, (num_samples, num_classes)))
    target_probs = np.round(raw / raw.sum(1, keepdims=True) * 64) / 64
    target_probs[:, 0] += 1 - target_probs.sum(1)
    target_probs[0] = [0, 1, 0, 0, 0]
    q = torch.tensor(target_probs)
    for smoothing in (0.0, 0.1):
        for weighted in (False, True):
            wt = torch.tensor(weights[5], dtype=torch.float64) if weighted else None
            loss = lambda s: F.cross_entropy(s, q, weight=wt, label_smoothing=smoothing, reduction="none")
            extra = {"label_smoothing": smoothing, "class_weights": weights[5] if weighted else None}
            cases.append(with_gradient(
                "cross_entropy_soft", loss, random, batch="random", target_probs=target_probs.tolist(), **extra))

    # scikit-learn's multiclass hinge_loss is Crammer and Singer's, with margin 1; only the mean is public.
    crammer_singer = {
        "scores": random.tolist(), "targets": random_targets.tolist(),
        "mean": sklearn.metrics.hinge_loss(random_targets, random, labels=list(range(num_classes))),
    }
    values = exact(rng.normal(0, 1, 12))
    softshrink = {
        "amount": 0.5, "values": values.tolist(),
        "shrunk": F.softshrink(torch.tensor(values), 0.5).tolist(),
    }
    golden = {
        "made_by": "reference/score_losses.py",
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "cases": cases, "crammer_singer": crammer_singer, "softshrink": softshrink,
    }
    path = pathlib.Path(__file__).parent / "golden" / "score_losses.json"
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
