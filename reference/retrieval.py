"""Golden numbers of retrieval: pytorch-metric-learning's AccuracyCalculator on small seeded embeddings.

Writes golden/retrieval.json. Embeddings are multiples of 1/64, which f32 holds exactly; two samples are
equal only where a case says so, so that ties, which the library breaks by chance, do not occur.
"""

import json
import pathlib

import numpy as np
import pytorch_metric_learning
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

METRICS = ("precision_at_1", "r_precision", "mean_average_precision_at_r")


def exact(array):
    """Rounded to multiples of 1/64, which f32 holds exactly."""
    return np.round(np.asarray(array, dtype=np.float64) * 64) / 64


def clusters(rng, count, dim, classes, spread):
    labels = rng.integers(0, classes, count)
    centres = rng.normal(size=(classes, dim))
    return exact(centres[labels] + spread * rng.normal(size=(count, dim))), labels


def evaluate(queries, query_labels, gallery=None, labels=None):
    calculator = AccuracyCalculator(include=METRICS, k="max_bin_count", device=torch.device("cpu"))
    tensor = lambda array: torch.tensor(array, dtype=torch.float32)
    if gallery is None:
        found = calculator.get_accuracy(tensor(queries), torch.tensor(query_labels))
    else:
        found = calculator.get_accuracy(
            tensor(queries), torch.tensor(query_labels), tensor(gallery), torch.tensor(labels)
        )
    return {
        "precision_at_1": found["precision_at_1"],
        "r_precision": found["r_precision"],
        "map_at_r": found["mean_average_precision_at_r"],
    }


def main():
    rng = np.random.default_rng(20200301)
    cases = []
    for name, (count, dim, classes, spread) in {
        "separate classes": (60, 4, 5, 0.3),
        "mixed classes": (80, 6, 4, 1.5),
        "many small classes": (70, 5, 30, 0.8),
    }.items():
        embeddings, labels = clusters(rng, count, dim, classes, spread)
        cases.append(
            {
                "name": name,
                "dim": dim,
                "embeddings": embeddings.ravel().tolist(),
                "labels": labels.tolist(),
                **evaluate(embeddings, labels),
            }
        )
    embeddings, labels = clusters(rng, 90, 5, 6, 1.0)
    cases.append(
        {
            "name": "separate gallery",
            "dim": 5,
            "embeddings": embeddings[:30].ravel().tolist(),
            "labels": labels[:30].tolist(),
            "gallery": embeddings[30:].ravel().tolist(),
            "gallery_labels": labels[30:].tolist(),
            **evaluate(embeddings[:30], labels[:30], embeddings[30:], labels[30:]),
        }
    )
    out = pathlib.Path(__file__).parent / "golden" / "retrieval.json"
    versions = {"pytorch_metric_learning": pytorch_metric_learning.__version__, "torch": torch.__version__}
    out.write_text(json.dumps({"versions": versions, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
