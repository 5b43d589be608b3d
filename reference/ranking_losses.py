"""Golden numbers of the ranking losses, from PyTorch and pytorch-metric-learning in double precision.

Writes golden/ranking_losses.json. Embeddings are multiples of 1/64, which f32 holds exactly, and no two are equal. Batches have
fewer than 26 rows: from there on torch.cdist would measure them by a Gram matrix.
"""

import json
import pathlib

import numpy as np
import pytorch_metric_learning
import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer, SumReducer

# The library makes vectors unit-norm first unless told otherwise.
DISTANCES = {
    "euclidean": lambda: LpDistance(normalize_embeddings=False),
    "squared": lambda: LpDistance(normalize_embeddings=False, power=2),
    "cosine": CosineSimilarity,
}
REDUCERS = {"valid": MeanReducer, "active": AvgNonZeroReducer}


def exact(array):
    """Rounded to multiples of 1/64, which f32 holds exactly."""
    return np.round(np.asarray(array, dtype=np.float64) * 64) / 64


def with_gradient(name, loss, rows, **inputs):
    leaf = torch.tensor(rows, requires_grad=True)
    value = loss(leaf)
    value.sum().backward()
    return {"name": name, **inputs, "loss": value.tolist(), "gradient": leaf.grad.ravel().tolist()}


def of_batches(batch, rows, labels, margin):
    y = torch.tensor(labels)
    given = {"batch": batch, "margin": margin}
    for distance, make in DISTANCES.items():
        for average, reducer in REDUCERS.items():
            for mining in ("all", "hard"):
                loss = TripletMarginLoss(margin=margin, distance=make(), reducer=reducer())
                miner = BatchHardMiner(distance=make())
                triplets = lambda x: miner(x, y) if mining == "hard" else None
                yield with_gradient(
                    "triplet", lambda x: loss(x, y, triplets(x)), rows,
                    **given, distance=distance, average=average, mining=mining)
        if distance == "cosine":
            continue  # its margins are of similarities, which the reducers cannot tell
        # The library adds the mean over the positives to that over the negatives; the sum of all is the same for everybody.
        loss = ContrastiveLoss(pos_margin=0, neg_margin=margin, distance=make(), reducer=SumReducer())
        pairs = len(labels) * (len(labels) - 1)
        yield with_gradient("contrastive", lambda x: loss(x, y) / pairs, rows, **given, distance=distance)


def of_pairs(rows, margin):
    """The first half of the rows against the second: each pair once as a positive and once as a negative."""
    half = len(rows) // 2
    for same in (True, False):
        marks = torch.full((half,), 1.0 if same else -1.0, dtype=torch.float64)
        loss = lambda x: F.cosine_embedding_loss(x[:half], x[half:], marks, margin=margin, reduction="none")
        yield with_gradient("cosine_embedding", loss, rows, same=same, margin=margin)


def of_triplets(rows, margin):
    """Rows in thirds: anchors, positives, negatives. The epsilon inside PyTorch's distance is made to vanish."""
    loss = lambda x: F.triplet_margin_loss(*x.chunk(3), margin=margin, eps=1e-30, reduction="none")
    return with_gradient("given_triplets", loss, rows, margin=margin)


def main():
    rng = np.random.default_rng(7)
    batches = {
        "three_classes": (exact(rng.normal(size=(12, 5))), rng.integers(0, 3, 12)),
        "pairs_and_lone_samples": (exact(rng.normal(size=(15, 3))), np.arange(15) // 2 % 6),
        "clusters": (exact(np.repeat(rng.normal(size=(4, 6)), 5, 0) + 0.3 * rng.normal(size=(20, 6))), np.repeat(range(4), 5)),
    }
    cases = []
    for batch, (rows, labels) in batches.items():
        for margin in (0.25, 1.0):
            cases += of_batches(batch, rows, labels, margin)
    rows = exact(rng.normal(size=(12, 4)))
    for margin in (0.0, 0.5):
        cases += of_pairs(rows, margin)
    cases += [of_triplets(rows, margin) for margin in (0.25, 1.0)]
    golden = {
        "made_by": "reference/ranking_losses.py",
        "versions": {
            "torch": torch.__version__.split("+")[0],
            "pytorch_metric_learning": pytorch_metric_learning.__version__,
            "numpy": np.__version__,
        },
        "batches": {
            batch: {"dim": rows.shape[1], "embeddings": rows.ravel().tolist(), "labels": labels.tolist()}
            for batch, (rows, labels) in batches.items()
        },
        "rows": {"dim": rows.shape[1], "embeddings": rows.ravel().tolist()},
        "cases": cases,
    }
    path = pathlib.Path(__file__).parent / "golden" / "ranking_losses.json"
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
