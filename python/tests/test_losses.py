"""Losses for PyTorch: against pytorch-metric-learning, PyTorch, and central differences."""

import threading
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import mentor.torch as ours
from mentor import ConfigError, DataError

pml_losses = pytest.importorskip("pytorch_metric_learning.losses")
from pytorch_metric_learning import distances, miners, reducers


def batch(kind, seed=0, size=24, dim=6):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(size, dim, generator=generator)
    labels = torch.randint(0, 5, (size,), generator=generator)
    if kind == "tied":
        rows = (rows * 2).round() / 2 + 0.25  # many equal distances, and some equal rows
        rows[:4] = rows[4:8]
    if kind == "lone":
        labels = torch.arange(size)
    if kind == "one class":
        labels = torch.zeros(size, dtype=torch.long)
    if kind == "empty":
        rows, labels = rows[:0], labels[:0]
    return rows, labels


KINDS = ["random", "tied", "lone", "one class"]


def value_and_gradient(loss, rows, labels, *more):
    rows = rows.clone().requires_grad_()
    value = loss(rows, labels, *more)
    value.backward()
    gradient = torch.zeros_like(rows) if rows.grad is None else rows.grad
    return value.item(), gradient


def assert_same(a, b, tolerance=1e-6):
    assert abs(a[0] - b[0]) <= tolerance
    assert (a[1] - b[1]).abs().max() <= tolerance


def distance(name, normalize):
    power = {"euclidean": 1, "squared": 2}[name]
    return distances.LpDistance(normalize_embeddings=normalize, p=2, power=power)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["euclidean", "squared"])
@pytest.mark.parametrize("normalize", [True, False])
# Of tied rows no triplet lies on the kink of these, where rounding decides.
@pytest.mark.parametrize("margin", [0.05, 0.3])
def test_triplets_are_those_of_pytorch_metric_learning(kind, name, normalize, margin):
    rows, labels = batch(kind)
    rows = rows.double()
    theirs = pml_losses.TripletMarginLoss(margin=margin, distance=distance(name, normalize))
    loss = ours.AllTripletLoss(margin, name, normalize_embeddings=normalize)
    expected = value_and_gradient(theirs, rows, labels)
    found = value_and_gradient(loss, rows, labels)
    assert_same(found, expected)


# Each is made of the classes of either side, by the same words.
AS_THERE = {
    "cosine": lambda losses: losses.TripletMarginLoss(0.3, distance=distances.CosineSimilarity()),
    "smooth": lambda losses: losses.TripletMarginLoss(0.3, smooth_loss=True),
    "smooth squared mean": lambda losses: losses.TripletMarginLoss(
        0.3, smooth_loss=True, distance=distances.LpDistance(power=2), reducer=reducers.MeanReducer()
    ),
    "pairs": lambda losses: losses.ContrastiveLoss(0.3, 0.9),
    "pairs squared mean": lambda losses: losses.ContrastiveLoss(
        0.2, 1.1, distance=distances.LpDistance(power=2), reducer=reducers.MeanReducer()
    ),
    "pairs cosine": lambda losses: losses.ContrastiveLoss(0.9, 0.4, distance=distances.CosineSimilarity()),
    "pairs cosine, none near enough": lambda losses: losses.ContrastiveLoss(
        1.5, 0.6, distance=distances.CosineSimilarity()
    ),
}


@pytest.mark.parametrize("name", AS_THERE)
@pytest.mark.parametrize("kind", ["random", "lone", "one class"])
def test_the_same_words_make_the_same_loss(name, kind):
    rows, labels = batch(kind)
    theirs, loss = AS_THERE[name](pml_losses), AS_THERE[name](ours)
    others = batch("random", seed=1, size=17)
    for more in [(), (None, others[0].double(), others[1])]:
        expected = value_and_gradient(theirs, rows.double(), labels, *more)
        assert_same(value_and_gradient(loss, rows.double(), labels, *more), expected)


@pytest.mark.parametrize(
    "words",
    [
        {"swap": True},
        {"triplets_per_anchor": 100},
        {"distance": distances.LpDistance(p=1)},
        {"distance": distances.SNRDistance()},
        {"reducer": reducers.DivisorReducer()},
    ],
)
def test_what_is_not_here_is_refused_by_name(words):
    with pytest.raises(ConfigError, match=r"here"):
        ours.TripletMarginLoss(**words)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_over_all_triplets_is_theirs(kind):
    rows, labels = batch(kind)
    theirs = pml_losses.TripletMarginLoss(margin=0.3, reducer=reducers.MeanReducer())
    assert_same(
        value_and_gradient(ours.AllTripletLoss(0.3, average="valid"), rows.double(), labels),
        value_and_gradient(theirs, rows.double(), labels),
    )


@pytest.mark.parametrize("kind", ["random", "lone", "one class"])
@pytest.mark.parametrize("margin", [1.0, 0.4])
def test_pairs_are_those_of_pytorch_metric_learning(kind, margin):
    rows, labels = batch(kind)
    theirs = pml_losses.ContrastiveLoss(neg_margin=margin)
    assert_same(
        value_and_gradient(ours.PairwiseLoss(margin), rows.double(), labels),
        value_and_gradient(theirs, rows.double(), labels),
    )


def test_an_empty_batch_has_the_loss_0():
    rows, labels = batch("empty")
    for loss in [ours.AllTripletLoss(), ours.PairwiseLoss()]:
        value, gradient = value_and_gradient(loss, rows, labels)
        assert value == 0.0 and gradient.shape == (0, 6)


@pytest.mark.parametrize("miner", [None, miners.BatchHardMiner(), miners.MultiSimilarityMiner()])
def test_miners_and_references_work_as_there(miner):
    rows, labels = batch("random")
    others, other_labels = batch("random", seed=1, size=17)
    rows, others = rows.double(), others.double()
    theirs, loss = pml_losses.TripletMarginLoss(margin=0.2), ours.AllTripletLoss(0.2)
    for more in [(), (others, other_labels)]:
        mined = miner(rows, labels, *more) if miner else None
        arguments = (labels, mined, *more)
        assert_same(value_and_gradient(loss, rows, *arguments), value_and_gradient(theirs, rows, *arguments))
    both = others.clone().requires_grad_()
    loss(rows, labels, None, both, other_labels).backward()
    expected = others.clone().requires_grad_()
    theirs(rows, labels, None, expected, other_labels).backward()
    assert (both.grad - expected.grad).abs().max() < 1e-6


@pytest.mark.parametrize(
    "pair",
    [
        (lambda: pml_losses.TripletMarginLoss(margin=0.2), lambda: ours.TripletMarginLoss(margin=0.2)),
        (lambda: pml_losses.ContrastiveLoss(neg_margin=0.8), lambda: ours.ContrastiveLoss(neg_margin=0.8)),
    ],
)
def test_a_memory_of_earlier_batches_takes_them(pair):
    theirs, loss = (pml_losses.CrossBatchMemory(make(), 6, memory_size=40) for make in pair)
    for seed in range(4):
        rows, labels = batch("random", seed)
        assert_same(value_and_gradient(loss, rows, labels), value_and_gradient(theirs, rows, labels), 2e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ours.AllTripletLoss(0.3),
        lambda: ours.AllTripletLoss(0.3, "cosine", "valid", normalize_embeddings=False),
        lambda: ours.AllTripletLoss(0.3, "squared", normalize_embeddings=False),
        lambda: ours.PairwiseLoss(0.7),
        lambda: ours.PairwiseLoss(0.7, "squared", "cosine", "valid", normalize_embeddings=False),
        lambda: ours.AllTripletLoss(0.3, soft=True),
        lambda: ours.PairwiseLoss(0.7, positive_margin=0.2),
    ],
)
def test_gradients_are_central_differences(make):
    rows, labels = batch("random", size=8, dim=3)
    assert torch.autograd.gradcheck(make(), (rows.double().requires_grad_(), labels), eps=1e-6, atol=1e-5)


def test_gradients_of_losses_on_scores_are_central_differences():
    scores, targets = torch.randn(6, 5, generator=torch.Generator().manual_seed(3)), torch.arange(6) % 5
    teacher = scores.flip(0)
    # In single precision: a step of 2e-3, and what rounding leaves of it.
    for call in [
        lambda scores: ours.DistillationLoss(3.0)(scores, teacher, targets),
        lambda scores: ours.DistillationLoss(2.0, 1.0, 0.0)(scores, [teacher, -teacher]),
        lambda scores: ours.WestonWatkinsLoss(reduction="none")(scores, targets),
    ]:
        leaf = scores.double().requires_grad_()
        assert torch.autograd.gradcheck(call, (leaf,), eps=2e-3, atol=2e-3)


def test_losses_on_scores_are_those_of_pytorch():
    scores, targets = torch.randn(7, 4, generator=torch.Generator().manual_seed(4)), torch.arange(7) % 4
    teacher = scores.roll(1, 0)
    F = torch.nn.functional

    def distilled(scores):
        soft = F.kl_div(F.log_softmax(scores / 4, 1), F.softmax(teacher / 4, 1), reduction="batchmean") * 16
        return 0.9 * soft + 0.1 * F.cross_entropy(scores, targets)

    def hinge(scores):
        losses = (scores - scores.gather(1, targets[:, None]) + 1).clamp_min(0)
        return (losses.sum(1) - 1).mean()

    for mine, theirs in [
        (lambda scores: ours.DistillationLoss()(scores, teacher, targets), distilled),
        (lambda scores: ours.WestonWatkinsLoss()(scores, targets), hinge),
    ]:
        expected = value_and_gradient(lambda scores, _: theirs(scores), scores, None)
        assert_same(value_and_gradient(lambda scores, _: mine(scores), scores, None), expected)
    losses = ours.WestonWatkinsLoss(reduction="none")(scores, targets)
    assert losses.shape == (7,)
    assert abs(losses.sum() - ours.WestonWatkinsLoss(reduction="sum")(scores, targets)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    rows, labels = batch("random")
    rows = rows.to(dtype).requires_grad_()
    loss = ours.AllTripletLoss(0.3)(rows, labels)
    loss.backward()
    expected = value_and_gradient(ours.AllTripletLoss(0.3), rows.detach().float(), labels)
    assert loss.dtype == torch.float32 and rows.grad.dtype == dtype
    assert abs(loss.item() - expected[0]) < 1e-6
    assert (rows.grad.float() - expected[1]).abs().max() < 1e-2


def test_a_second_derivative_is_refused_by_name():
    rows, labels = batch("random")
    rows.requires_grad_()
    with pytest.raises(ConfigError, match="double backward"):
        torch.autograd.grad(ours.AllTripletLoss()(rows, labels), rows, create_graph=True)


def test_strided_and_read_only_rows_are_taken():
    rows, labels = batch("random")
    expected = value_and_gradient(ours.AllTripletLoss(0.2), rows, labels)
    strided = torch.stack([rows, rows], 2)[:, :, 0]
    assert not strided.is_contiguous()
    assert_same(value_and_gradient(ours.AllTripletLoss(0.2), strided, labels), expected)


def test_what_cannot_be_used_is_an_exception_with_help():
    rows, labels = batch("random")
    loss = ours.AllTripletLoss()
    for wrong in [
        lambda: loss(rows.long(), labels),
        lambda: loss(rows[0], labels),
        lambda: loss(rows, labels[:3]),
        lambda: loss(rows, labels.float()),
        lambda: loss(rows, ["a"] * 24),
        lambda: loss(rows.numpy(), labels),
        lambda: loss(rows * torch.nan, labels),
        lambda: loss(rows),
        lambda: loss(rows, labels, (labels, labels)),
    ]:
        with pytest.raises(DataError) as refused:
            wrong()
        assert refused.value.help and "help: " in str(refused.value)
    outside = (torch.tensor([0]), torch.tensor([1]), torch.tensor([99]))
    with pytest.raises(DataError, match="99"):
        loss(rows, labels, outside)
    with pytest.raises(DataError, match="target 9"):
        ours.WestonWatkinsLoss()(rows, torch.full((24,), 9))
    for wrong in [
        lambda: ours.AllTripletLoss(-1),
        lambda: ours.AllTripletLoss(distance="manhattan"),
        lambda: ours.PairwiseLoss(form="cubic"),
        lambda: ours.DistillationLoss(0),
        lambda: ours.WestonWatkinsLoss(reduction="median"),
    ]:
        with pytest.raises(ConfigError):
            wrong()


def test_a_module_is_shown_and_saved():
    loss = ours.AllTripletLoss(0.1, "cosine")
    assert repr(loss) == "AllTripletLoss(margin=0.1, distance='cosine', average='active')"
    assert loss.state_dict() == {}


def test_threads_compute_the_same():
    rows, labels = batch("random", size=200)
    expected = value_and_gradient(ours.AllTripletLoss(), rows, labels)
    found = [None] * 4

    def work(place):
        found[place] = value_and_gradient(ours.AllTripletLoss(), rows, labels)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(value == expected[0] and torch.equal(gradient, expected[1]) for value, gradient in found)


def test_a_forked_process_has_threads_of_its_own():
    import os

    rows, labels = batch("random", size=200)
    expected = ours.AllTripletLoss()(rows, labels).item()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.write(writer, str(np.float64(ours.AllTripletLoss()(rows, labels).item())).encode())
        os._exit(0)
    os.close(writer)
    assert float(os.read(reader, 100)) == expected
    assert os.waitpid(child, 0)[1] == 0


def test_a_network_trains_as_with_theirs():
    curves = []
    for loss in [pml_losses.TripletMarginLoss(margin=0.2), ours.AllTripletLoss(0.2)]:
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8))
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        curve = []
        for _ in range(20):
            images = torch.randn(64, 20, generator=generator)
            labels = torch.randint(0, 8, (64,), generator=generator)
            value = loss(network(images + labels[:, None] * 0.3), labels)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            curve.append(value.item())
        curves.append(curve)
    assert np.abs(np.subtract(*curves)).max() < 1e-4
    assert curves[1][-1] < curves[1][0]


def test_sentence_transformers_calls_it_so():
    class Model(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["rows"] * 1.0}

    rows, labels = batch("random")
    rows.requires_grad_()
    loss = ours.SentenceTripletLoss(Model())([{"rows": rows}], labels)
    loss.backward()
    assert loss > 0 and rows.grad.abs().sum() > 0
