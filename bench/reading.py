"""Images a second from a folder, tar shards and Parquet files: mentor beside webdataset, datasets and torchvision's way.

    bench/reading.py PHOTOS --mentor target/release/mentor --copies 10 [--threads 2]

Needs pillow and, where they are to be compared, webdataset and datasets. PHOTOS is a folder of class folders. Its
images are written again under other names, `copies` times, as a folder, as tar shards and as Parquet files. All decode
to 64x64 pixels in colour; each takes its turn, and the best of three runs counts. Python decodes in one process, and
mentor on one thread too unless --threads says otherwise.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def copies(photos, root, count):
    """Other bytes behind the image's end, so that no two are duplicates."""
    for copy in range(count):
        for path in sorted(photos.glob("*/*")):
            place = root / path.parent.name / f"{path.stem.replace('.', '-')}-{copy}{path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes() + copy.to_bytes(2, "little"))


def pixels(data):
    return len(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64)).tobytes())


def pillow(folder):
    paths = sorted(folder.glob("*/*"))
    return lambda: sum(1 for path in paths if pixels(path.read_bytes()))


def with_webdataset(folder):
    import webdataset

    shards = sorted(str(path) for path in folder.glob("*.tar"))

    def run():
        samples = webdataset.WebDataset(shards, shardshuffle=False)
        return sum(1 for sample in samples if pixels(next(sample[k] for k in ("jpg", "jpeg", "png") if k in sample)))

    return run


def with_datasets(folder, order=None):
    import datasets

    files = sorted(str(path) for path in folder.glob("*.parquet"))
    table = datasets.Dataset.from_parquet(files).cast_column("image", datasets.Image(decode=False))
    return lambda: sum(1 for at in (order or range(len(table))) if pixels(table[at]["image"]["bytes"]))


def best(run):
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        count = run()
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def mentor_rates(example, data, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    found = []
    for _ in range(3):
        text = subprocess.run([example, data], env=environment, check=True, capture_output=True, text=True).stdout
        found.append([float(number) for number in re.search(r"order (\d+)/s, shuffled (\d+)/s", text).groups()])
    return [max(rates) for rates in zip(*found)], text.split()[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--example", default=str(ROOT / "target/release/examples/reading_rate"))
    parser.add_argument("--mentor", default=str(ROOT / "target/release/mentor"))
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    try:
        folder, tars, tables = work / "folder", work / "tars", work / "tables"
        copies(options.photos, folder, options.copies)
        for flag, place in (("--write-tar", tars), ("--write-parquet", tables)):
            subprocess.run([options.mentor, "data", folder, flag, place], check=True, capture_output=True)
        print("| form | mentor, in order | mentor, shuffled | Python, in order |\n|---|--:|--:|--:|")
        fingerprints = set()
        for name, data, peer in (
            ("folder", folder, pillow), ("tar", tars, with_webdataset), ("Parquet", tables, with_datasets),
        ):
            (ordered, shuffled), fingerprint = mentor_rates(options.example, data, options.threads)
            fingerprints.add(fingerprint)
            try:
                other = f"{best(peer(data)):.0f} ({peer.__name__.removeprefix('with_')})"
            except ImportError as error:
                other = f"no {error.name}"
            print(f"| {name} | {ordered:.0f} | {shuffled:.0f} | {other} |", flush=True)
        assert len(fingerprints) == 1, fingerprints
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
