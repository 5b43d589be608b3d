"""Runs: training with the keywords of the command line, and the models of complete runs."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mentor import _mentor
from mentor.errors import ConfigError, DataError, Interrupted, MentorError
from mentor.measures import at_least_1
from mentor.progress import Progress

__all__ = ["Run", "distill", "embed", "evaluate", "predict", "report", "search", "self_train", "train"]

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}


def train(*, data: Any, out: Any = None, progress: bool = False, **keywords: Any) -> Run:
    """Trains a model as ``mentor train`` does, or continues a run that was interrupted.

    ``data`` is ``"digits"``, an image folder, a folder of IDX files, a CSV manifest or an npz file.
    Keywords are the flags of the command with ``_`` for ``-``, such as ``backbone="lite0.pth"`` or
    ``learning_rate=0.05``; other fields of the configuration are ``set={"optimizer.nesterov": False}``.
    Ctrl-C finishes the update, writes a checkpoint and raises `Interrupted`; the same call continues.
    """
    return _train("train", data, out, progress, keywords)


def distill(*, teacher: Any, data: Any, out: Any = None, progress: bool = False, **keywords: Any) -> Run:
    """Trains a student from one or several complete runs as ``mentor distill`` does; see `train`."""
    teachers = teacher if isinstance(teacher, (list, tuple)) else [teacher]
    paths = [one.path if isinstance(one, Run) else one for one in teachers]
    return _train("distill", data, out, progress, {"teacher": paths, **keywords})


def self_train(*, data: Any, out: Any = None, progress: bool = False, **keywords: Any) -> Run:
    """Trains from few labels and many unlabelled images as ``mentor self-train`` does; see `train`."""
    return _train("self-train", data, out, progress, keywords)


def evaluate(run: Any, **keywords: Any) -> dict[str, Any]:
    """`Run.evaluate` of the run in this directory."""
    return _run(run).evaluate(**keywords)


def predict(run: Any, images: Any) -> tuple[list[str], np.ndarray[Any, Any]]:
    """`Run.predict` of the run in this directory."""
    return _run(run).predict(images)


def embed(run: Any, images: Any) -> np.ndarray[Any, Any]:
    """`Run.embed` of the run in this directory."""
    return _run(run).embed(images)


def search(
    run: Any, *, index: Any, query: Any, top: int = 10
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The ``top`` images of ``index`` nearest to each image of ``query``, exactly, by the embeddings of
    the run.

    Gives their places in ``index`` and their distances, both ``[Q, top]``.
    """
    run = _run(run)
    gallery, queries = run.embed(index), run.embed(query)
    return _mentor.nearest_rows(gallery, queries, at_least_1(top, "top"), run._opened().metric)


def report(runs: Any, out: Any = None) -> str:
    """One HTML page of one run or several side by side. Written to ``out`` if it is given."""
    several = runs if isinstance(runs, (list, tuple)) else [runs]
    paths = [os.fspath(run.path if isinstance(run, Run) else run) for run in several]
    return _mentor.report(paths, None if out is None else os.fspath(out))


class Run:
    """A complete run: its directory, and its model, which is read when it is first needed."""

    def __init__(self, path: Any) -> None:
        self.path = Path(os.fspath(path))
        self.summary: dict[str, Any] = json.loads(_mentor.summary(os.fspath(path)))
        self._model: _mentor.Model | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the memory of the model. The run cannot be used afterwards."""
        self._model, self._closed = None, True

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the probabilities."""
        return self._opened().classes

    def predict(self, images: Any) -> tuple[list[str], np.ndarray[Any, Any]]:
        """The likeliest class of each image, and the probabilities ``[N, C]`` in the order of `classes`.

        ``images`` are paths of image files, folders with images, PIL images, or arrays of bytes ``[H, W]`` or
        ``[H, W, 3]``, in a list or alone.
        """
        model = self._opened()
        probabilities = model.probabilities(_images(images))
        names = model.classes
        return [names[place] for place in probabilities.argmax(axis=1)] if len(
            probabilities
        ) else [], probabilities

    def embed(self, images: Any) -> np.ndarray[Any, Any]:
        """The embeddings of images ``[N, D]``; of a classifier, the input of its last layer. As `predict`."""
        return self._opened().embeddings(_images(images))

    def evaluate(
        self, data: Any = None, split: str = "test", *, gallery: str | None = None, retrieval: bool = False
    ) -> dict[str, Any]:
        """What ``mentor eval --json`` prints. Without ``data``, on the data that the model was trained on."""
        text = self._opened().evaluate(None if data is None else os.fspath(data), split, gallery, retrieval)
        evaluation: dict[str, Any] = json.loads(text)
        return evaluation

    def report(self, out: Any = None) -> str:
        """The report of the run as HTML. Written to ``out`` if it is given."""
        self._check_open()
        return report(self, out)

    def _repr_html_(self) -> str:
        # A frame of its own, so that the styles of the report do not reach the notebook.
        page = escape(_mentor.report_head(os.fspath(self.path)))
        style = "width: 100%; height: 26em; border: 0"
        return f'<iframe title="run" sandbox style="{style}" srcdoc="{page}"></iframe>'

    def _check_open(self) -> None:
        if self._closed:
            raise MentorError(f"the run {self.path} is closed", "open it again with mentor.Run(path)")

    def _opened(self) -> _mentor.Model:
        self._check_open()
        if self._model is None:
            self._model = _mentor.Model(os.fspath(self.path))
        return self._model


def _run(run: Any) -> Run:
    return run if isinstance(run, Run) else Run(run)


def _train(command: str, data: Any, out: Any, progress: bool, keywords: dict[str, Any]) -> Run:
    given = {"data": data, **keywords, **({} if out is None else {"out": out})}
    known = _mentor.keyword_names(command)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            help = (
                f"perhaps {near[0]} is meant" if near else f"mentor {command} --help lists them with - for _"
            )
            raise ConfigError(f"{command} has no keyword {name!r}", help)
    arguments = [
        (name, _values(name, value))
        for name, value in given.items()
        if value is not None and value is not False
    ]
    with Progress(progress) as shown:
        place, complete, step, stopped = _mentor.train(command, arguments, shown)
    if not complete:
        what = (
            "interrupted"
            if step is None
            else f"interrupted after update {step:,}, with a checkpoint in {place}"
        )
        if stopped is None or isinstance(stopped, KeyboardInterrupt):
            raise Interrupted(what, "the same call continues the run") from stopped
        raise stopped
    if stopped is not None:
        raise stopped
    return Run(place)


def _values(name: str, value: Any) -> list[str]:
    """What a flag is followed by; nothing if it has no value."""
    if value is True and name != "unit_norm":
        return []
    if isinstance(value, dict):
        return [f"{key}={_value(one)}" for key, one in value.items()]
    if name == "size" and isinstance(value, (list, tuple)):
        return ["x".join(str(side) for side in value)]
    if isinstance(value, (list, tuple)):
        return [_value(one) for one in value]
    return [_value(value)]


def _value(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _images(images: Any) -> list[Any]:
    """Paths, and the bytes of image files."""
    if isinstance(images, (str, os.PathLike)) or hasattr(images, "getbands"):
        images = [images]
    elif isinstance(images, np.ndarray) and (
        images.ndim == 2 or (images.ndim == 3 and images.shape[-1] in (1, 3))
    ):
        images = [images]
    if not isinstance(images, Iterable):
        raise DataError(f"images are a {type(images).__name__}", "give paths, PIL images or arrays in a list")
    found: list[Any] = []
    for image in images:
        if isinstance(image, (str, os.PathLike)):
            path = Path(image)
            inside = path.is_dir()
            found.extend(_files(path) if inside else [path])
        else:
            found.append(_file_of(image))
    return found


def _files(folder: Path) -> Sequence[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: holds no image files", "check the path")
    return files


def _file_of(image: Any) -> bytes:
    """An image as a file of the PNM formats, which hold bytes as they are."""
    if hasattr(image, "getbands"):
        array = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    else:
        array = np.asarray(image.detach().cpu().numpy() if hasattr(image, "detach") else image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8:
        raise DataError(f"an image of {array.dtype}, but bytes (uint8) are needed", "scale it to 0 to 255")
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or 0 in array.shape:
        raise DataError(f"an image of shape {array.shape}", "give [H, W] or [H, W, 3]")
    kind = "P5" if array.ndim == 2 else "P6"
    return f"{kind} {array.shape[1]} {array.shape[0]} 255\n".encode() + np.ascontiguousarray(array).tobytes()
