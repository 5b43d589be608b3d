"""What both peers need: the IDX files, memory figures, and one JSON object on standard output."""

import gzip
import json
import math
import os
import resource
import struct
import sys
from pathlib import Path

import numpy as np

IDX_NAMES = {
    ("train", "images"): "train-images{}idx3-ubyte",
    ("train", "labels"): "train-labels{}idx1-ubyte",
    ("test", "images"): "t10k-images{}idx3-ubyte",
    ("test", "labels"): "t10k-labels{}idx1-ubyte",
}


def read_idx(folder: Path, split: str, what: str, limit: int | None = None) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or gzipped, under any of its usual names; only `limit` items of it
    when given, so that a few batches do not cost the memory of the data set."""
    for separator in "-.":
        for suffix in ("", ".gz"):
            path = folder / (IDX_NAMES[split, what].format(separator) + suffix)
            if not path.is_file():
                continue
            with (gzip.open if suffix else open)(path, "rb") as file:
                magic = file.read(4)
                if magic[:3] != b"\0\0\x08":
                    sys.exit(f"error: {path}: not an IDX file of unsigned bytes")
                shape = list(struct.unpack(f">{magic[3]}I", file.read(4 * magic[3])))
                shape[0] = min(shape[0], limit or shape[0])
                pixels = file.read(math.prod(shape))
            if len(pixels) != math.prod(shape):
                sys.exit(f"error: {path}: truncated")
            return np.frombuffer(pixels, np.uint8).reshape(shape)
    sys.exit(f"error: {folder}: no IDX file with the {what} of the {split} split")


def load(folder: Path, split: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 28, 28] and labels [N], both uint8."""
    return read_idx(folder, split, "images", limit), read_idx(folder, split, "labels", limit)


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cpu_count() -> int:
    """The CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def emit(result: dict) -> None:
    """Prints the result: one line of JSON, nothing else on standard output."""
    print(json.dumps(result), flush=True)
