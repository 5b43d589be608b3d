#!/usr/bin/env python3
"""P@1, R-precision and MAP@R of each sample among all others, by pytorch-metric-learning's AccuracyCalculator on the CPU.

    retrieval_peer.py embeddings.f32 labels.u32

Euclidean, without normalising, neighbours by torch's topk of exact distances, 256 queries at a time. Prints one JSON object with
the fields of mentor's `retrieval_bench`.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

warnings.filterwarnings("ignore")


def main() -> None:
    embeddings, labels = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    labels = torch.from_numpy(np.fromfile(labels, dtype="<u4").astype(np.int64))
    embeddings = torch.from_numpy(np.fromfile(embeddings, dtype="<f4").reshape(len(labels), -1))
    neighbours = CustomKNN(LpDistance(normalize_embeddings=False), batch_size=256)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=neighbours,
    )
    before = time.perf_counter()
    found = calculator.get_accuracy(embeddings, labels)
    secs = time.perf_counter() - before
    found["map_at_r"] = found.pop("mean_average_precision_at_r")
    print(json.dumps({"secs": secs, **found}))


if __name__ == "__main__":
    main()
