"""Losses for PyTorch, exact over all pairs and triplets of a batch, computed on the CPU.

Each is an ``nn.Module``. The value and the gradient are computed together in the forward pass, and
nothing but the gradient is kept for the backward pass. Half precision is computed in single precision;
tensors of another device are copied to the CPU, with one notice.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mentor import _mentor
from mentor.errors import ConfigError, DataError

__all__ = [
    "AllTripletLoss",
    "ContrastiveLoss",
    "DistillationLoss",
    "PairwiseLoss",
    "SentenceTripletLoss",
    "TripletMarginLoss",
    "WestonWatkinsLoss",
]

Indices = Sequence[Tensor]
_noticed = False


class _Explicit(torch.autograd.Function):
    """A value whose gradient is known."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, value: float | np.ndarray[Any, Any], gradient: np.ndarray[Any, Any]
    ) -> Tensor:
        ctx.save_for_backward(torch.from_numpy(gradient).to(device=inputs.device, dtype=inputs.dtype))
        return torch.as_tensor(value, dtype=inputs.dtype, device=inputs.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad_output,) = grads
        # PyTorch records a backward pass only to differentiate it.
        if torch.is_grad_enabled():
            raise ConfigError(
                "the losses of mentor.torch have no second derivative (double backward)",
                "leave create_graph out, or use a loss of PyTorch",
            )
        (gradient,) = ctx.saved_tensors
        shape = [*grad_output.shape, *[1] * (gradient.dim() - grad_output.dim())]
        return grad_output.reshape(shape) * gradient, None, None


class AllTripletLoss(nn.Module):
    """The triplet margin loss of **all** triplets of a batch, at the price of its distances.

    The mean of ``max(0, margin + d(a, p) − d(a, n))``, over the triplets that are ``active`` (above 0) or
    over all ``valid`` ones. As it is by default, it is ``TripletMarginLoss()`` of
    pytorch-metric-learning: margin 0.05, unit vectors, Euclidean distance, mean over the active triplets.
    ``distance`` is ``euclidean``, ``squared`` or ``cosine`` (1 − cos). ``soft`` is the soft margin,
    ``ln(1 + e^(margin + d(a, p) − d(a, n)))``, at the price of one exponential a triplet.

    ``loss(embeddings, labels)``, or in full ``loss(embeddings, labels, indices_tuple, ref_emb,
    ref_labels)``: ``indices_tuple`` is a miner's, of triplets ``(a, p, n)`` or pairs ``(a1, p, a2, n)``;
    positives and negatives are rows of ``ref_emb`` if it is given.
    """

    def __init__(
        self,
        margin: float = 0.05,
        distance: str = "euclidean",
        average: str = "active",
        normalize_embeddings: bool = True,
        soft: bool = False,
    ) -> None:
        super().__init__()
        self.margin, self.distance, self.average = float(margin), distance, average
        self.normalize_embeddings, self.soft = normalize_embeddings, bool(soft)
        _mentor.all_triplets(np.zeros((0, 1), np.float32), np.zeros(0, np.int64), self._told())

    def _told(self) -> tuple[float, str, str, bool]:
        return self.margin, self.distance, self.average, self.soft

    def extra_repr(self) -> str:
        soft = ", soft=True" if self.soft else ""
        return f"margin={self.margin}, distance={self.distance!r}, average={self.average!r}{soft}"

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: Indices | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss, a scalar."""
        batch = _Batch(embeddings, labels, indices_tuple, ref_emb, ref_labels, self.normalize_embeddings)
        if batch.triplets is not None:
            found = _mentor.given_triplets(batch.values, batch.triplets, self._told())
        elif batch.pairs is not None:
            near, far = batch.pairs
            found = _mentor.triplets_of_pairs(batch.values, near, far, self._told())
        else:
            found = _mentor.all_triplets(batch.values, batch.labels, self._told())
        loss: Tensor = _Explicit.apply(batch.rows, found[0], found[1])
        return loss


class PairwiseLoss(nn.Module):
    """The contrastive loss of all pairs of a batch.

    ``linear``: ``max(0, d − positive_margin)`` of a positive pair and ``max(0, margin − d)`` of a negative
    one; ``squared``: half their squares, as Hadsell, Chopra and LeCun have it. ``average``: the mean over
    ``active`` pairs, over all ``valid`` ones, or of ``each`` kind over its active pairs (``each-valid``:
    over all), added up. As it is by default, it is ``ContrastiveLoss()`` of pytorch-metric-learning. It is
    called as `AllTripletLoss`.
    """

    def __init__(
        self,
        margin: float = 1.0,
        form: str = "linear",
        distance: str = "euclidean",
        average: str = "each",
        normalize_embeddings: bool = True,
        positive_margin: float = 0.0,
    ) -> None:
        super().__init__()
        self.margin, self.positive_margin = float(margin), float(positive_margin)
        self.form, self.distance, self.average = form, distance, average
        self.normalize_embeddings = normalize_embeddings
        empty = np.zeros((0, 1), np.float32)
        _mentor.contrastive(empty, np.zeros(0, np.int64), None, *self._told())

    def _told(self) -> tuple[float, float, str, str, str]:
        return self.margin, self.positive_margin, self.form, self.distance, self.average

    def extra_repr(self) -> str:
        margins = f"margin={self.margin}, positive_margin={self.positive_margin}"
        return f"{margins}, form={self.form!r}, distance={self.distance!r}, average={self.average!r}"

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor | None = None,
        indices_tuple: Indices | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss, a scalar."""
        batch = _Batch(embeddings, labels, indices_tuple, ref_emb, ref_labels, self.normalize_embeddings)
        pairs = batch.pairs
        if batch.triplets is not None:
            # A miner of triplets names pairs: each once a triplet, as pytorch-metric-learning counts them.
            pairs = (batch.triplets[:, [0, 1]].copy(), batch.triplets[:, [0, 2]].copy())
        labels_of_all = batch.labels if pairs is None else None
        found = _mentor.contrastive(batch.values, labels_of_all, pairs, *self._told())
        loss: Tensor = _Explicit.apply(batch.rows, found[0], found[1])
        return loss


class TripletMarginLoss(AllTripletLoss):
    """`AllTripletLoss` by the name and with the parameters of pytorch-metric-learning, whose wrappers, such
    as ``CrossBatchMemory``, look at the names of losses.

    ``distance`` is its ``LpDistance`` (p 2, power 1 or 2) or ``CosineSimilarity``, ``reducer`` its
    ``AvgNonZeroReducer`` or ``MeanReducer``. ``swap`` and a number of ``triplets_per_anchor`` are refused.
    """

    def __init__(
        self,
        margin: float = 0.05,
        swap: bool = False,
        smooth_loss: bool = False,
        triplets_per_anchor: str = "all",
        distance: Any = None,
        reducer: Any = None,
    ) -> None:
        if swap or triplets_per_anchor != "all":
            raise ConfigError(
                "swap and triplets_per_anchor are not here: every triplet counts, each as it is",
                "leave them out",
            )
        name, normalize = _their_distance(distance)
        super().__init__(margin, name, _their_average(reducer), normalize, smooth_loss)


class ContrastiveLoss(PairwiseLoss):
    """`PairwiseLoss` by the name and with the parameters of pytorch-metric-learning; see
    `TripletMarginLoss`. Of ``CosineSimilarity`` the margins are similarities, as they are there.
    """

    def __init__(
        self, pos_margin: float = 0.0, neg_margin: float = 1.0, distance: Any = None, reducer: Any = None
    ) -> None:
        name, normalize = _their_distance(distance)
        if name == "cosine":
            pos_margin, neg_margin = 1 - pos_margin, 1 - neg_margin
        average = {"active": "each", "valid": "each-valid"}[_their_average(reducer)]
        super().__init__(neg_margin, "linear", name, average, normalize, pos_margin)


def _their_distance(distance: Any) -> tuple[str, bool]:
    """What a distance of pytorch-metric-learning is called here, and whether it makes unit vectors."""
    if distance is None:
        return "euclidean", True
    kind = type(distance).__name__
    told = getattr(distance, "p", None), getattr(distance, "power", None)
    names: dict[tuple[str, Any], str] = {
        ("LpDistance", (2, 1)): "euclidean",
        ("LpDistance", (2, 2)): "squared",
        ("CosineSimilarity", (2, 1)): "cosine",
    }
    if (kind, told) not in names:
        raise ConfigError(
            f"there is no distance {kind} with p and power {told} here",
            "use LpDistance of p 2 and power 1 or 2, or CosineSimilarity",
        )
    return names[kind, told], bool(distance.normalize_embeddings)


def _their_average(reducer: Any) -> str:
    """What a reducer of pytorch-metric-learning is called here."""
    kind = "AvgNonZeroReducer" if reducer is None else type(reducer).__name__
    names = {"AvgNonZeroReducer": "active", "MeanReducer": "valid"}
    if kind not in names:
        raise ConfigError(f"there is no reducer {kind} here", "use AvgNonZeroReducer or MeanReducer")
    return names[kind]


class WestonWatkinsLoss(nn.Module):
    """The multiclass hinge ``Σ_{j≠y} max(0, s_j − s_y + margin)`` of scores ``[N, C]`` and targets
    ``[N]``.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.margin, self.reduction = float(margin), _checked_reduction(reduction)
        _mentor.weston_watkins(np.zeros((1, 1), np.float32), np.zeros(1, np.int64), self.margin)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, reduction={self.reduction!r}"

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss: a scalar, or ``[N]`` if nothing is reduced."""
        values, gradient = _mentor.weston_watkins(_scores(scores), _integers(targets, "targets"), self.margin)
        return _reduced(scores, values, gradient, self.reduction)


class DistillationLoss(nn.Module):
    """Distillation: ``soft_weight · T² · KL(teacher ‖ student)`` at the temperature T, and
    ``hard_weight`` times the cross-entropy of the targets.

    ``loss(scores, teacher_scores, targets)``; several teachers are a list, whose mean of probabilities is
    learned.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        soft_weight: float = 0.9,
        hard_weight: float = 0.1,
        hard_labels: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.temperature, self.soft_weight = float(temperature), float(soft_weight)
        self.hard_weight, self.hard_labels = float(hard_weight), bool(hard_labels)
        self.reduction = _checked_reduction(reduction)
        one = np.zeros((1, 1), np.float32)
        _mentor.distillation(one, [one], np.zeros(1, np.int64), *self._parameters_of_loss())

    def _parameters_of_loss(self) -> tuple[float, float, float, bool]:
        return self.temperature, self.soft_weight, self.hard_weight, self.hard_labels

    def extra_repr(self) -> str:
        return (
            f"temperature={self.temperature}, soft_weight={self.soft_weight}, hard_weight={self.hard_weight}"
        )

    def forward(
        self, scores: Tensor, teacher_scores: Tensor | Sequence[Tensor], targets: Tensor | None = None
    ) -> Tensor:
        """The loss: a scalar, or ``[N]`` if nothing is reduced."""
        teachers = [teacher_scores] if isinstance(teacher_scores, Tensor) else list(teacher_scores)
        values, gradient = _mentor.distillation(
            _scores(scores),
            [_scores(teacher) for teacher in teachers],
            None if targets is None else _integers(targets, "targets"),
            *self._parameters_of_loss(),
        )
        return _reduced(scores, values, gradient, self.reduction)


class SentenceTripletLoss(nn.Module):
    """`AllTripletLoss` for the trainer of sentence-transformers: ``SentenceTripletLoss(model,
    margin=5.0)`` in the place of ``BatchAllTripletLoss(model)``, whose defaults it has.
    """

    def __init__(
        self,
        model: nn.Module,
        margin: float = 5.0,
        distance: str = "euclidean",
        average: str = "active",
        normalize_embeddings: bool = False,
    ) -> None:
        super().__init__()
        self.sentence_embedder = model
        self.loss = AllTripletLoss(margin, distance, average, normalize_embeddings)

    def forward(self, sentence_features: Any, labels: Tensor) -> Tensor:
        """The loss of the first column of sentences."""
        embeddings = self.sentence_embedder(next(iter(sentence_features)))["sentence_embedding"]
        loss: Tensor = self.loss(embeddings, labels)
        return loss


class _Batch:
    """What the losses on embeddings are called with, in one form."""

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor | None,
        indices_tuple: Indices | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        normalize: bool,
    ) -> None:
        rows = _matrix(embeddings, "embeddings")
        offset = 0
        if ref_emb is not None and ref_emb is not embeddings:
            others = _matrix(ref_emb, "ref_emb")
            if others.shape[1] != rows.shape[1]:
                raise DataError(f"embeddings have {rows.shape[1]} dimensions, ref_emb has {others.shape[1]}")
            offset = len(rows)
            rows = torch.cat([rows, others.to(device=rows.device, dtype=rows.dtype)])
        if normalize:
            rows = nn.functional.normalize(rows, dim=1)
        self.rows = rows
        self.values = _numpy(rows)
        self.labels = np.zeros(0, np.int64)
        self.triplets: np.ndarray[Any, Any] | None = None
        self.pairs: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None = None
        if indices_tuple is not None:
            self._take_indices(indices_tuple, offset)
            return
        if labels is None:
            raise DataError("there are neither labels nor an indices_tuple", "give one of them")
        self.labels = _integers(labels, "labels")
        if len(self.labels) != len(embeddings):
            raise DataError(f"{len(self.labels)} labels for {len(embeddings)} embeddings", "give one a row")
        if offset:
            if ref_labels is None:
                raise DataError("ref_emb needs ref_labels", "give one label a row of ref_emb")
            others_labels = _integers(ref_labels, "ref_labels")
            same = self.labels[:, None] == others_labels[None, :]
            if same.shape[1] != len(rows) - offset:
                raise DataError(f"{same.shape[1]} ref_labels for {len(rows) - offset} rows of ref_emb")
            near, far = np.argwhere(same), np.argwhere(~same)
            near[:, 1] += offset
            far[:, 1] += offset
            self.pairs = (np.ascontiguousarray(near), np.ascontiguousarray(far))

    def _take_indices(self, indices_tuple: Indices, offset: int) -> None:
        parts = [_integers(part, "indices_tuple") for part in indices_tuple]
        if len(parts) == 3 and len({len(part) for part in parts}) == 1:
            anchors, positives, negatives = parts
            self.triplets = np.stack([anchors, positives + offset, negatives + offset], axis=1)
        elif len(parts) == 4 and len(parts[0]) == len(parts[1]) and len(parts[2]) == len(parts[3]):
            first, positives, second, negatives = parts
            near = np.stack([first, positives + offset], axis=1)
            self.pairs = (near, np.stack([second, negatives + offset], axis=1))
        else:
            raise DataError(
                f"indices_tuple has {len(parts)} parts of {[len(part) for part in parts]} indices",
                "give triplets (a, p, n) or pairs (a1, p, a2, n), as a miner does",
            )


def _matrix(values: Tensor, name: str) -> Tensor:
    if not isinstance(values, Tensor):
        raise DataError(f"{name} is a {type(values).__name__}, but must be a tensor", "call torch.as_tensor")
    if values.dim() != 2:
        raise DataError(f"{name} has {values.dim()} dimensions, but must have 2", "give one row a sample")
    if not values.is_floating_point():
        raise DataError(f"{name} holds {values.dtype}, but must hold floats", "convert it with float()")
    # Their precision is too low for sums over a batch. Its gradient comes back in the type of the input.
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _numpy(values: Tensor) -> np.ndarray[Any, Any]:
    _notice(values)
    return values.detach().cpu().contiguous().numpy()


def _scores(values: Tensor) -> np.ndarray[Any, Any]:
    return _numpy(_matrix(values, "scores").float())


def _integers(values: Any, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not isinstance(values, Tensor):
        try:
            values = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{name} cannot be a tensor: {error}", "number the labels, from 0 on") from error
    if values.is_floating_point() or values.is_complex():
        raise DataError(f"{name} holds {values.dtype}, but must hold integers", "convert it with long()")
    if values.dim() != 1:
        raise DataError(f"{name} has {values.dim()} dimensions, but must have 1", "give one a sample")
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.int64)


def _notice(values: Tensor) -> None:
    global _noticed
    if values.device.type != "cpu" and not _noticed:
        _noticed = True
        warnings.warn(
            f"mentor.torch computes on the CPU: tensors of {values.device.type} are copied there and back",
            stacklevel=4,
        )


def _checked_reduction(reduction: str) -> str:
    if reduction not in ("mean", "sum", "none"):
        raise ConfigError(f"there is no reduction named {reduction!r}; there are mean, sum, none")
    return reduction


def _reduced(scores: Tensor, values: list[float], gradient: np.ndarray[Any, Any], reduction: str) -> Tensor:
    rows = _matrix(scores, "scores")
    losses: Tensor = _Explicit.apply(rows, np.asarray(values), gradient)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / max(len(values), 1)
