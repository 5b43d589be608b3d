"""Measures of embeddings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mentor import _mentor
from mentor.arrays import codes, matrix
from mentor.errors import ConfigError, DataError


def retrieval(
    embeddings: Any,
    labels: Any,
    *,
    gallery: Any = None,
    gallery_labels: Any = None,
    metric: str = "euclidean",
    k: int = 10,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """How well the nearest neighbours of each embedding share its label, exactly.

    ``embeddings`` are ``[N, D]`` and ``labels`` ``[N]``, numbers or strings. Each is searched among the
    others, or among ``gallery``. Gives ``precision_at_1``, ``r_precision``, ``map_at_r``,
    ``recall_at_1``, ``recall_at_5``, ``recall_at_10``, ``knn_accuracy``, ``k``, ``num_queries``,
    ``num_lone_queries`` (without another of their label, left out), and ``intervals`` (95 %, bootstrap
    over the queries).
    """
    if (gallery is None) != (gallery_labels is None):
        raise ConfigError("gallery and gallery_labels go together", "give both, or neither")
    queries = matrix(embeddings, "embeddings")
    others = None if gallery is None else matrix(gallery, "gallery")
    names = np.asarray(labels)
    check_length(names, queries, "labels")
    if others is not None:
        other_names = np.asarray(gallery_labels)
        check_length(other_names, others, "gallery_labels")
        if (names.dtype.kind in "US") != (other_names.dtype.kind in "US"):
            raise DataError("labels and gallery_labels are of different types", "give both the same type")
        names = np.concatenate([names, other_names])
    found = _mentor.retrieval(
        queries,
        others,
        codes(names),
        metric,
        at_least_1(k, "k"),
        at_least_1(num_resamples, "num_resamples"),
        seed,
    )
    measures: dict[str, Any] = json.loads(found)
    return measures


def check_length(labels: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], name: str) -> None:
    """One label a row."""
    if labels.shape[:1] != rows.shape[:1]:
        count = labels.shape[0] if labels.ndim else 1
        raise DataError(f"{count} {name} for {rows.shape[0]} embeddings", "give one a sample")


def at_least_1(value: int, name: str) -> int:
    """A number that counts something."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{name} is {value!r}, but must be a whole number of at least 1")
    return int(value)
