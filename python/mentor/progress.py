"""The progress of a training: a bar, in a notebook or a terminal, or lines without tqdm."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


class Progress:
    """Hears the events of a training. Warnings are given whether or not anything is shown."""

    def __init__(self, shown: bool) -> None:
        self._shown = bool(shown)
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, kind: str, values: str) -> None:
        told = json.loads(values)
        if kind == "warning":
            warnings.warn(told["text"], stacklevel=4)
        elif self._shown:
            getattr(self, f"_{kind}", lambda told: None)(told)

    def _stage(self, told: dict[str, Any]) -> None:
        self._say(told["text"])

    def _started(self, told: dict[str, Any]) -> None:
        self._close()
        self._say(
            f"{told['model']}: {told['num_params']:,} parameters, {told['num_classes']} classes, "
            f"{told['num_train']:,} training and {told['num_val']:,} validation images"
        )
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        total = told["steps_per_epoch"] * told["epochs"]
        self._bar = tqdm(total=total or None, initial=told["resumed_step"], unit="update", file=sys.stderr)

    def _step(self, told: dict[str, Any]) -> None:
        if self._bar is not None:
            self._bar.update(told["step"] - self._bar.n)
            self._bar.set_postfix(loss=f"{told['data_loss']:.4f}", refresh=False)

    def _epoch(self, told: dict[str, Any]) -> None:
        if self._bar is None:
            accuracy = told.get("val_accuracy")
            judged = "" if accuracy is None else f"  validation accuracy {accuracy:.4f}"
            self._say(f"epoch {told['epoch'] + 1}  loss {told['train_loss']:.4f}{judged}")

    def _iteration(self, told: dict[str, Any]) -> None:
        if self._bar is not None:
            gap = (told["primal"] - told["dual"]) / max(told["primal"], 1e-300)
            self._bar.update(told["iteration"] - self._bar.n)
            self._bar.set_postfix(gap=f"{gap:.1e}", refresh=False)

    def _finished(self, _: Any) -> None:
        self._close()

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
