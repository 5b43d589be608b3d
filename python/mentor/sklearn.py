"""Estimators for scikit-learn."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mentor import _mentor
from mentor.errors import ConfigError, DataError

__all__ = ["KNNRetriever", "LinearClassifier", "PretrainedClassifier", "SelfTrainer"]


class _Linear(ClassifierMixin, BaseEstimator):
    """A linear classifier that was fitted, and its pickle: the bytes of a safetensors file."""

    def _solve(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        self.classes_, targets = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"the classifier needs at least 2 classes; there is one class: {self.classes_[0]!r}",
                "give samples of another class",
            )
        found = _mentor.solve_linear(
            np.ascontiguousarray(X, np.float32),
            np.ascontiguousarray(targets, np.uint32),
            len(self.classes_),
            None if sample_weight is None else np.ascontiguousarray(sample_weight, np.float32),
            self.loss,
            float(self.margin),
            float(self.l2),
            float(self.l1),
            bool(self.fit_intercept),
            float(self.gap),
            int(self.max_iter),
        )
        self.coef_, self.intercept_ = found["weights"], found["bias"]
        self.primal_, self.dual_, self.dual_gap_ = found["primal"], found["dual"], found["gap"]
        self.relative_gap_, self.n_iter_ = found["relative_gap"], found["num_iterations"]
        if not found["certified"]:
            warnings.warn(
                f"the optimum is proven to a relative gap of {self.relative_gap_:.1e}, not {self.gap:.1e}: "
                f"{found['reason']}\nhelp: {found['help']}",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _decision(self, scores: np.ndarray) -> np.ndarray:
        # Of two classes scikit-learn's convention is one number, above 0 for the second.
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _probabilities(self, scores: np.ndarray) -> np.ndarray:
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        arrays = {name: value for name, value in state.items() if _is_plain(value)}
        rest = {name: value for name, value in state.items() if name not in arrays}
        return {**rest, "_safetensors": _to_safetensors(arrays)} if arrays else rest

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = _from_safetensors(state.pop("_safetensors")) if "_safetensors" in state else {}
        super().__setstate__({**state, **arrays})


class LinearClassifier(_Linear):
    """A linear classifier that is proven to be within ``gap`` of the optimum.

    It minimises ``mean loss + l2 Σw² + l1 Σ|w|``, without a factor ½ and without a penalty of the
    intercept. scikit-learn's ``LogisticRegression(C)`` is ``l2 = 1 / (2 · C · n_samples)``. ``loss`` is
    ``softmax``, ``svm`` (Weston and Watkins) or ``crammer-singer``; ``l1`` goes with softmax.

    Fitted: ``coef_`` [C, D], ``intercept_`` [C], ``classes_``, ``primal_`` (the objective), ``dual_`` (a
    lower bound on its minimum), ``dual_gap_`` (no less than the distance from the optimum),
    ``relative_gap_``, ``n_iter_``. Of two classes there are two rows of ``coef_``; ``decision_function``
    gives the difference of their scores.
    """

    def __init__(
        self,
        loss: str = "softmax",
        l2: float = 1e-4,
        l1: float = 0.0,
        gap: float = 1e-4,
        *,
        margin: float = 1.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        max_iter: int = 1000,
    ) -> None:
        self.loss = loss
        self.l2 = l2
        self.l1 = l1
        self.gap = gap
        self.margin = margin
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearClassifier:
        """Solves to the gap. Ctrl-C stops at the next iteration."""
        X, y = validate_data(self, X, y, dtype=np.float32, order="C")
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float32)
        if self.class_weight is not None:
            of_classes = compute_sample_weight(self.class_weight, y)
            sample_weight = of_classes if sample_weight is None else sample_weight * of_classes
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float64)
            used = weights != 0
            if not used.any():
                raise DataError("the weight of every sample is 0", "give one a weight above 0")
            # A sample of weight 0 is none, and one of weight 2 is two: a mean over Σ weights.
            X, y, weights = X[used], y[used], weights[used]
            sample_weight = weights / weights.mean()
        self._solve(X, y, sample_weight)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores [N, C]; of two classes the score of the second less that of the first, [N]."""
        return self._decision(self._raw(X))

    def predict(self, X: Any) -> np.ndarray:
        """The class of the highest score."""
        scores = self._raw(X)
        return self.classes_[scores.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax of the scores [N, C]. A hinge does not train it to be probabilities."""
        return self._probabilities(self._raw(X))

    def _raw(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._scores(validate_data(self, X, dtype=np.float32, reset=False))


class KNNRetriever(ClassifierMixin, BaseEstimator):
    """Exact nearest neighbours: ``kneighbors`` gives them, ``predict`` their vote.

    ``metric`` is ``euclidean`` or ``cosine``. Equal distances are in the order of the fitted rows; of
    classes with equal votes the one with the nearest neighbour wins.
    """

    def __init__(self, n_neighbors: int = 10, metric: str = "euclidean") -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric

    def fit(self, X: Any, y: Any) -> KNNRetriever:
        """Keeps the rows."""
        X, y = validate_data(self, X, y, dtype=np.float32, order="C")
        check_classification_targets(y)
        self.classes_, self._targets = np.unique(y, return_inverse=True)
        self._rows = np.array(X)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Distances and places of the nearest rows, nearest first, both [N, k]."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        wanted = self.n_neighbors if n_neighbors is None else n_neighbors
        if not isinstance(wanted, (int, np.integer)) or wanted < 1:
            raise ConfigError(f"n_neighbors is {wanted!r}, but must be a whole number of at least 1")
        places, distances = _mentor.nearest_rows(
            self._rows, X, min(int(wanted), len(self._rows)), self.metric
        )
        return distances, places

    def predict_proba(self, X: Any) -> np.ndarray:
        """The share of the votes of each class, [N, C]. Of equal shares that of the nearest is larger by
        1e-9.
        """
        _, places = self.kneighbors(X)
        votes = self._targets[places][:, :, None] == np.arange(len(self.classes_))
        nearness = np.where(votes.any(axis=1), 1 - votes.argmax(axis=1) / votes.shape[1], 0)
        shares = votes.mean(axis=1) + 1e-9 * nearness
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The class with the most votes."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _Images:
    """Estimators of images do not take matrices of numbers: scikit-learn's checks do not apply to them."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.no_validation = True
        return tags


class PretrainedClassifier(_Images, _Linear):
    """A linear classifier on the features of a pretrained network, for images.

    ``backbone`` is the file of weights of a network that ``mentor backbones`` lists. ``X`` holds paths,
    PIL images or arrays of bytes ``[H, W, 3]``. The other parameters are those of `LinearClassifier`.
    """

    def __init__(
        self,
        backbone: Any = None,
        loss: str = "softmax",
        l2: float = 1e-3,
        l1: float = 0.0,
        gap: float = 1e-4,
        *,
        architecture: str | None = None,
        margin: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int = 1000,
    ) -> None:
        self.backbone = backbone
        self.loss = loss
        self.l2 = l2
        self.l1 = l1
        self.gap = gap
        self.architecture = architecture
        self.margin = margin
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def features(self, X: Any) -> np.ndarray:
        """The features of images [N, D]."""
        from mentor.runs import _images

        if self.backbone is None:
            raise ConfigError(
                "PretrainedClassifier needs a backbone", "name a file of weights: mentor backbones"
            )
        network = getattr(self, "_network", None)
        if network is None or network[0] != (os.fspath(self.backbone), self.architecture):
            opened = _mentor.Backbone(os.fspath(self.backbone), self.architecture)
            network = ((os.fspath(self.backbone), self.architecture), opened)
            self._network = network
        return network[1].features(_images(X))

    def fit(self, X: Any, y: Any) -> PretrainedClassifier:
        """Computes the features and solves to the gap."""
        y = np.asarray(y)
        check_classification_targets(y)
        features = self.features(X)
        if len(features) != len(y):
            raise DataError(f"{len(y)} labels for {len(features)} images", "give one an image")
        # A common scale: what a penalty means must not depend on the network.
        self.scale_ = float(np.sqrt(np.mean(np.square(features, dtype=np.float64)))) or 1.0
        self._solve(features / self.scale_, y, None)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """As `LinearClassifier.decision_function`."""
        return self._decision(self._raw(X))

    def predict(self, X: Any) -> np.ndarray:
        """The class of the highest score."""
        return self.classes_[self._raw(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax of the scores [N, C]."""
        return self._probabilities(self._raw(X))

    def _raw(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        return self._scores(self.features(X) / self.scale_)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_network", None)
        return state


class SelfTrainer(_Images, ClassifierMixin, BaseEstimator):
    """``mentor.self_train`` on arrays of images, some of them without a label.

    ``X`` is an array of bytes ``[N, H, W]`` or ``[N, H, W, 3]``; in ``y`` −1 stands for no label
    (``None`` or an empty string among strings). ``out`` keeps the run; without it the run is in a
    temporary folder, and only the model is kept. Keywords of the configuration are in ``options``, such
    as ``{"rounds": 2, "epochs": 4}``.
    """

    def __init__(self, model: str = "cnn", out: Any = None, options: dict[str, Any] | None = None) -> None:
        self.model = model
        self.out = out
        self.options = options

    def fit(self, X: Any, y: Any) -> SelfTrainer:
        """Trains teacher and students. Ctrl-C leaves checkpoints in ``out``; the same call continues."""
        from mentor.runs import self_train

        X, y = np.ascontiguousarray(X), np.asarray(y)
        if X.dtype != np.uint8 or X.ndim not in (3, 4):
            raise DataError(f"X is {X.dtype} {list(X.shape)}", "give bytes (uint8) [N, H, W] or [N, H, W, 3]")
        if len(X) != len(y):
            raise DataError(f"{len(y)} labels for {len(X)} images", "give one an image")
        missing = np.array([label is None or label == "" or label == -1 for label in y.tolist()], dtype=bool)
        if missing.all() or not missing.any():
            raise DataError(
                "self-training needs images with and without labels", "mark missing labels with -1"
            )
        self.classes_, targets = np.unique(y[~missing], return_inverse=True)
        with tempfile.TemporaryDirectory() as folder:
            labelled, others = Path(folder) / "labelled.npz", Path(folder) / "unlabelled.npz"
            np.savez(labelled, x=X[~missing], y=targets.astype(np.int64))
            np.savez(others, x=X[missing], y=np.zeros(missing.sum(), np.int64))
            out = Path(folder) / "run" if self.out is None else Path(self.out)
            options = {"model": self.model, **(self.options or {})}
            run = self_train(data=labelled, unlabelled=others, out=out, **options)
            self.summary_ = run.summary
            self._model, self._names = run._opened(), run.classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities [N, C], in the order of ``classes_``."""
        from mentor.runs import _images

        check_is_fitted(self, "classes_")
        order = [self._names.index(str(place)) for place in range(len(self.classes_))]
        return self._model.probabilities(_images(list(np.asarray(X))))[:, order]

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each image."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


_TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U8": "|u1"}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.str in _NAMES


def _to_safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    named = [
        (name, _NAMES[array.dtype.str], list(array.shape), array.tobytes()) for name, array in arrays.items()
    ]
    return _mentor.to_safetensors(named)


def _from_safetensors(data: bytes) -> dict[str, np.ndarray]:
    return {
        name: np.frombuffer(values, _TYPES[dtype]).reshape(shape).copy()
        for name, dtype, shape, values in _mentor.from_safetensors(data)
    }
