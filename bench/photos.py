#!/usr/bin/env python3
"""Few labels on real pictures: a frozen backbone with mentor's head beside scikit-learn's, and without one.

    bench/photos.py --mentor target/release/mentor --stamps DIR --backbone lite0.pth

DIR is usr/share/tuxpaint/stamps of Debian's package tuxpaint-stamps-default. Its PNG files below the
folders of CLASSES are the pictures, on white, padded to a square. A draw takes so many pictures of each
class for training and all others for the test. `mentor train --backbone` chooses its own l2 by
cross-validation on the labels; scikit-learn has its LogisticRegression as it comes, C = 1, on the same features
(`mentor embed --backbone`) and the same draws. Self-training has the rest of the pictures without labels,
which are those of the test, or half of them and the other half as the test, or the stamps of OTHERS, which
show other things. Prints the rows of the table: mean accuracy and standard deviation over the draws, in
percent.
"""

import argparse
import csv
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy
from PIL import Image
from sklearn.linear_model import LogisticRegression

CLASSES = {"birds": "animals/birds", "fish": "animals/fish", "flowers": "plants/flowers",
           "fruit": "food/fruit", "insects": "animals/insects", "mammals": "animals/mammals",
           "vegetables": "food/vegetables"}

# Stamps that are no images of these classes, and how many of them are a pool.
OTHERS = ["clothes", "hobbies", "household", "medical", "military", "naturalforces", "people", "seasonal",
          "space", "sports", "symbols", "town", "vehicles"]
NUM_OTHERS = 200


def squared(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGBA")
    side = max(image.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.convert("RGB")


def others(stamps: Path, out: Path) -> Path:
    out.mkdir()
    found = [path for name in OTHERS for path in sorted((stamps / name).rglob("*.png"))]
    for index, path in enumerate(random.Random(0).sample(found, NUM_OTHERS)):
        squared(path).save(out / f"{index:03}.png")
    return out


def pictures(stamps: Path, out: Path) -> dict[str, list[Path]]:
    """The pictures of each class, on white and square, in the order of their names."""
    found: dict[str, list[Path]] = {}
    for name, folder in CLASSES.items():
        (out / name).mkdir(parents=True)
        for path in sorted((stamps / folder).rglob("*.png")):
            if "cartoon" in path.name:
                continue
            place = out / name / "-".join(path.relative_to(stamps / folder).parts)
            squared(path).save(place)
            found.setdefault(name, []).append(place)
    return found


def crops(found: dict[str, list[Path]], out: Path, count: int) -> Path:
    """So many JPEGs of 640x480, each a part at random of one of the pictures."""
    chance = random.Random(0)
    pairs = [(name, path) for name, paths in found.items() for path in paths]
    for index in range(count):
        name, path = pairs[index % len(pairs)]
        image, share = Image.open(path), chance.uniform(0.7, 1)
        width, height = (int(side * share) for side in image.size)
        x, y = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
        (out / name).mkdir(parents=True, exist_ok=True)
        part = image.crop((x, y, x + width, y + height)).resize((640, 480))
        part.save(out / name / f"{index}.jpg", quality=92)
    return out


def drawn(found: dict[str, list[Path]], labels: int, seed: int) -> set[Path]:
    """So many pictures of each class, at random."""
    chance = random.Random(seed)
    return {path for paths in found.values() for path in chance.sample(paths, labels)}


class Lab:
    def __init__(self, mentor: Path, work: Path):
        self.mentor, self.work = mentor, work
        self.environment = os.environ | {"MENTOR_CACHE": str(work / "cache")}

    def run(self, *words: object) -> str:
        texts = [str(self.mentor), *map(str, words)]
        done = subprocess.run(texts, check=True, env=self.environment, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def accuracy(self, found: dict[str, list[Path]], training: set[Path], *words: object) -> float:
        """Accuracy of one training on the pictures that were not drawn.

        A frozen run chooses nothing by its validation split, so that they may be that split, and its
        features are those of the first run. Elsewhere they are the test split, which is opened once.
        """
        data, run = self.work / "data", self.work / "run"
        for folder in (data, run):
            shutil.rmtree(folder, ignore_errors=True)
        frozen = "--backbone" in words and "--fine-tune" not in words
        rest = "val" if frozen else "test"
        for name, paths in found.items():
            for path in paths:
                place = data / ("train" if path in training else rest) / name / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, place)
        fixed = ["--val-fraction", 0, "--keep-duplicates", "--out", run, "--quiet", "--json"]
        summary = json.loads(self.run("train", data, *fixed, *words))
        return summary["val_accuracy"] if frozen else self.test(run)

    def self_trained(self, found: dict[str, list[Path]], training: set[Path], backbone: Path,
                     pool: Path | str) -> float:
        """Accuracy of a head that learns from a pool too: a folder, or the `rest` or `half` of the rest.

        Of a half the other one is the test, elsewhere all of the rest is.
        """
        folders = {part: self.work / part for part in ("data", "run", "pool", "asked")}
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        chance = random.Random(len(training))

        def put(part: str, name: str, path: Path) -> None:
            place = folders[part] / name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)

        for name, paths in found.items():
            for path in paths:
                if path in training:
                    put("data", name, path)
                elif pool != "half" or chance.random() < 0.5:
                    put("pool", name, path)
                    if pool != "half":
                        put("asked", name, path)
                else:
                    put("asked", name, path)
        unlabelled = pool if isinstance(pool, Path) else folders["pool"]
        fixed = ["--val-fraction", 0, "--keep-duplicates", "--out", folders["run"], "--quiet"]
        backbone_of = ["--backbone", backbone]
        self.run("self-train", "--data", folders["data"], "--unlabelled", unlabelled, *backbone_of, *fixed)
        asked = ["--data", folders["asked"], "--split", "all", "--json"]
        return json.loads(self.run("eval", folders["run"], *asked))["accuracy"]

    def test(self, run: Path) -> float:
        return json.loads(self.run("eval", run, "--split", "test", "--json"))["accuracy"]

    def features(self, backbone: Path, folder: Path) -> dict[Path, numpy.ndarray]:
        values, ids = self.work / "f.npy", self.work / "ids.csv"
        self.run("embed", "--backbone", backbone, folder, "--out", values, "--ids", ids)
        with ids.open(newline="") as file:
            names = [Path(row["id"]) for row in csv.DictReader(file)]
        return dict(zip(names, numpy.load(values)))


def small(path: Path) -> numpy.ndarray:
    return numpy.asarray(Image.open(path).resize((32, 32)), dtype=float).ravel() / 255


def sklearn(found: dict[str, list[Path]], features: dict[Path, numpy.ndarray], training: set[Path]) -> float:
    rows = [(features[path], name, path in training) for name, paths in found.items() for path in paths]

    def part(wanted: bool) -> tuple[list[numpy.ndarray], list[str]]:
        chosen = [(x, y) for x, y, own in rows if own == wanted]
        return [x for x, _ in chosen], [y for _, y in chosen]

    model = LogisticRegression(max_iter=5000).fit(*part(True))
    return float(model.score(*part(False)))


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--mentor", type=Path, required=True)
    parser.add_argument("--stamps", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--slow-draws", type=int, default=5, help="draws of the networks that are trained")
    parser.add_argument("--speed", action="store_true", help="seconds from 1,000 photos to a report instead")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 10])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        lab, found = Lab(args.mentor.resolve(), work), pictures(args.stamps, work / "pictures")
        print({name: len(paths) for name, paths in found.items()})
        if args.speed:
            data, out = crops(found, work / "crops", 1000), work / "run"
            lab.run("train", data, "--backbone", args.backbone, "--keep-duplicates", "--quiet", "--out", out)
            used, summary = resource.getrusage(resource.RUSAGE_CHILDREN), (out / "summary.json").read_text()
            print(f"{used.ru_utime + used.ru_stime:.1f} s of processor time, "
                  f"{json.loads(summary)['wall_secs']:.1f} s of the clock")
            return
        features = lab.features(args.backbone, work / "pictures")
        drawings = others(args.stamps, work / "others")
        pixels = {path: small(path) for paths in found.values() for path in paths}
        frozen = ["--backbone", args.backbone]
        mentor = lambda *words: lambda training: lab.accuracy(found, training, *words)
        sides = [
            ("frozen, mentor's softmax", args.draws, mentor(*frozen)),
            ("self-trained, the rest as the pool", args.draws,
             lambda training: lab.self_trained(found, training, args.backbone, "rest")),
            ("self-trained, half of the rest as the pool", args.draws,
             lambda training: lab.self_trained(found, training, args.backbone, "half")),
            ("self-trained, other stamps as the pool", args.draws,
             lambda training: lab.self_trained(found, training, args.backbone, drawings)),
            ("fine-tuned, mentor's defaults", args.slow_draws, mentor(*frozen, "--fine-tune", 10)),
            ("frozen, scikit-learn's LogisticRegression", args.draws,
             lambda training: sklearn(found, features, training)),
            ("pixels at 32x32, scikit-learn's LogisticRegression", args.draws,
             lambda training: sklearn(found, pixels, training)),
            ("`cnn` from scratch, 64x64", args.slow_draws, mentor("--model", "cnn", "--size", 64)),
            ("frozen, mentor's SVM", args.draws, mentor(*frozen, "--loss", "svm")),
        ]
        for name, draws, side in [row for row in sides if args.only in row[0]]:
            cells = [name, str(draws)]
            for labels in args.labels:
                shares = [100 * side(drawn(found, labels, seed)) for seed in range(draws)]
                spread = statistics.stdev(shares) if draws > 1 else 0
                cells.append(f"{statistics.mean(shares):.1f} ± {spread:.1f}")
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
