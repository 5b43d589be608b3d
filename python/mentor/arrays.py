"""Arrays as the extension takes them: numpy, contiguous, and of one of few types."""

from __future__ import annotations

from typing import Any

import numpy as np

from mentor.errors import DataError


def matrix(values: Any, name: str, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """A matrix of this type, copied only if it must be. Values are checked where they are used."""
    array = _array(values, name)
    if array.ndim != 2:
        raise DataError(f"{name} has {array.ndim} dimensions, but must have 2", "give one row a sample")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} holds {array.dtype}, but must hold numbers", "convert it with astype(float)")
    # Beyond single precision: an infinity, which is refused with its place.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def codes(labels: Any, name: str = "labels") -> np.ndarray[Any, Any]:
    """Labels of any type, one a sample, as integers that are equal for equal labels."""
    array = _array(labels, name)
    if array.ndim != 1:
        raise DataError(f"{name} have {array.ndim} dimensions, but must have 1", "give one label a sample")
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array, dtype=np.int64)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{name} hold a value that is no number", "give every sample a label")
    try:
        return np.ascontiguousarray(np.unique(array, return_inverse=True)[1].reshape(-1), dtype=np.int64)
    except TypeError as error:
        raise DataError(
            f"{name} cannot be compared with each other: {error}", "give them one type"
        ) from error


def _array(values: Any, name: str) -> np.ndarray[Any, Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: {error}", "give rows of one length") from error
