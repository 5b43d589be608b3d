"""The extension: arrays in, arrays out. Use the modules of the package instead."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

Valued = tuple[float, NDArray[Any], int, int]
"""A loss, its gradient, how many terms there are, and how many are above 0."""

Image = bytes | Path
Floats = NDArray[np.float32] | NDArray[np.float64]

def command_line(arguments: Sequence[str]) -> int: ...
def all_triplets(
    embeddings: Floats, targets: NDArray[np.int64], told: tuple[float, str, str, bool]
) -> Valued: ...
def triplets_of_pairs(
    embeddings: Floats,
    positives: NDArray[np.int64],
    negatives: NDArray[np.int64],
    told: tuple[float, str, str, bool],
) -> Valued: ...
def given_triplets(
    embeddings: Floats, triplets: NDArray[np.int64], told: tuple[float, str, str, bool]
) -> Valued: ...
def contrastive(
    embeddings: Floats,
    targets: NDArray[np.int64] | None,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    margin: float,
    positive_margin: float,
    form: str,
    distance: str,
    average: str,
) -> Valued: ...
def weston_watkins(
    values: NDArray[np.float32], targets: NDArray[np.int64], margin: float
) -> tuple[list[float], NDArray[np.float32]]: ...
def distillation(
    values: NDArray[np.float32],
    teachers: Sequence[NDArray[np.float32]],
    targets: NDArray[np.int64] | None,
    temperature: float,
    soft_weight: float,
    hard_weight: float,
    hard_labels: bool,
) -> tuple[list[float], NDArray[np.float32]]: ...
def solve_linear(
    features: NDArray[np.float32],
    targets: NDArray[np.uint32],
    num_classes: int,
    sample_weights: NDArray[np.float32] | None,
    loss: str,
    margin: float,
    l2: float,
    l1: float,
    bias: bool,
    gap: float,
    max_iterations: int,
) -> dict[str, Any]: ...
def retrieval(
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32] | None,
    targets: NDArray[np.int64],
    metric_name: str,
    k: int,
    num_resamples: int,
    seed: int,
) -> str: ...
def nearest_rows(
    gallery: NDArray[np.float32], queries: NDArray[np.float32], k: int, metric_name: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def keyword_names(command: str) -> list[str]: ...
def train(
    command: str, arguments: Sequence[tuple[str, Sequence[str]]], observer: Callable[[str, str], object]
) -> tuple[Path, bool, int | None, BaseException | None]: ...
def summary(run: str) -> str: ...
def report_head(run: str) -> str: ...
def report(runs: Sequence[str], out: str | None) -> str: ...
def to_safetensors(arrays: Sequence[tuple[str, str, Sequence[int], bytes]]) -> bytes: ...
def from_safetensors(file: bytes) -> list[tuple[str, str, list[int], bytes]]: ...

class Backbone:
    def __init__(self, path: str, architecture: str | None) -> None: ...
    @property
    def architecture(self) -> str: ...
    def features(self, images: Sequence[Image]) -> NDArray[np.float32]: ...

class Model:
    def __init__(self, run: str) -> None: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def metric(self) -> str: ...
    def probabilities(self, images: Sequence[Image]) -> NDArray[np.float64]: ...
    def embeddings(self, images: Sequence[Image]) -> NDArray[np.float32]: ...
    def evaluate(self, data: str | None, split: str, gallery: str | None, retrieval: bool) -> str: ...
