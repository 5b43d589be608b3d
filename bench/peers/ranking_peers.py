#!/usr/bin/env python3
"""All triplets of a batch, value and gradient, by pytorch-metric-learning or sentence-transformers on the CPU.

    ranking_peers.py pytorch-metric-learning embeddings.f32 labels.u32 SECONDS
    ranking_peers.py sentence-transformers   embeddings.f32 labels.u32 SECONDS

Both take the mean over active triplets of Euclidean distances, margin 0.2, without normalising the embeddings. Prints one JSON
object with the fields of mentor's `triplet_bench`.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")


def loss_of(peer: str):
    if peer == "pytorch-metric-learning":
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss

        return TripletMarginLoss(margin=0.2, distance=LpDistance(normalize_embeddings=False))
    from sentence_transformers.sentence_transformer.losses import (
        BatchAllTripletLoss,
        BatchHardTripletLossDistanceFunction,
    )

    loss = BatchAllTripletLoss.__new__(BatchAllTripletLoss)
    torch.nn.Module.__init__(loss)  # without a model, which the loss of embeddings does not use
    loss.triplet_margin = 0.2
    loss.distance_metric = BatchHardTripletLossDistanceFunction.eucledian_distance
    return lambda embeddings, labels: loss.batch_all_triplet_loss(labels, embeddings)


def main() -> None:
    peer, embeddings, labels, seconds = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    labels = torch.from_numpy(np.fromfile(labels, dtype="<u4").astype(np.int64))
    embeddings = torch.from_numpy(np.fromfile(embeddings, dtype="<f4").reshape(len(labels), -1))
    loss_of_batch = loss_of(peer)
    times, start = [], time.perf_counter()
    while True:
        leaf = embeddings.clone().requires_grad_()
        before = time.perf_counter()
        loss = loss_of_batch(leaf, labels)
        loss.backward()
        times.append(time.perf_counter() - before)
        if time.perf_counter() - start > float(seconds):
            break
    norm = float(leaf.grad.double().norm())
    print(json.dumps({"secs": min(times), "runs": len(times), "loss": float(loss), "gradient_norm": norm}))


if __name__ == "__main__":
    main()
