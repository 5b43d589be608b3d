"""The triplet loss of a batch through Python, forward and backward, beside pytorch-metric-learning and
sentence-transformers.

    python bench/python.py            # needs both, and torch, beside mentor
    python bench/python.py --large    # also a batch of 60,000 embeddings, with its memory
    python bench/python.py --train    # instead, 20 updates of one network with either loss

Runs alternate. A time is the processor time of the process, in milliseconds: the median over the rounds.
"""

import argparse
import resource
import statistics
import sys
import time

import torch

import mentor.torch

SIZES = [(256, 32), (1024, 128), (4096, 128)]
PER_LABEL = 4
# A peer holds all valid triplets, B · 3 · (B − 4), or even all B³, some times over.
LARGEST = {"pytorch-metric-learning": 1024, "sentence-transformers": 512}


def batch(size, dim):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(size, dim, generator=generator)
    return torch.nn.functional.normalize(rows), torch.arange(size) // PER_LABEL


def peers():
    found = {"mentor": mentor.torch.AllTripletLoss(0.2, normalize_embeddings=False)}
    try:
        from pytorch_metric_learning import distances, losses

        distance = distances.LpDistance(normalize_embeddings=False)
        found["pytorch-metric-learning"] = losses.TripletMarginLoss(margin=0.2, distance=distance)
    except ImportError:
        print("skipped: no pytorch-metric-learning", file=sys.stderr)
    try:
        from sentence_transformers.sentence_transformer.losses import BatchAllTripletLoss
    except ImportError:
        try:
            from sentence_transformers.losses import BatchAllTripletLoss
        except ImportError:
            print("skipped: no sentence-transformers", file=sys.stderr)
            return found
    loss = BatchAllTripletLoss(None, margin=0.2)
    found["sentence-transformers"] = lambda rows, labels: loss.batch_all_triplet_loss(labels, rows)
    return found


def step(loss, rows, labels):
    leaf = rows.clone().requires_grad_()
    begin = time.process_time()
    value = loss(leaf, labels)
    value.backward()
    return 1000 * (time.process_time() - begin), value.item(), leaf.grad


def compare(size, dim, rounds):
    rows, labels = batch(size, dim)
    times = {}
    expected = None
    for place in range(rounds + 1):
        for name, loss in peers_of_size(size).items():
            try:
                taken, value, gradient = step(loss, rows, labels)
            except RuntimeError as error:
                print(f"{name} at {size}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            if expected is None:
                expected = (value, gradient)
            assert abs(value - expected[0]) < 1e-5, (name, value, expected[0])
            assert (gradient - expected[1]).abs().max() < 1e-5, name
            # The first round warms up.
            if place > 0:
                times.setdefault(name, []).append(taken)
    return {name: statistics.median(all_times) for name, all_times in times.items()}


def train(loss, dtype, updates=20):
    """The losses of the updates of a small network on batches of 256, and the processor time in seconds."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    layers = torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 32)
    network = torch.nn.Sequential(*layers).to(dtype)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    curve = []
    begin = time.process_time()
    for _ in range(updates):
        labels = torch.arange(256) // PER_LABEL
        images = torch.randn(256, 784, generator=generator, dtype=dtype) + labels[:, None] * 0.05
        value = loss(torch.nn.functional.normalize(network(images)), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        curve.append(value.item())
    return curve, time.process_time() - begin


def compare_training(rounds, dtype):
    names = [name for name in ("mentor", "pytorch-metric-learning") if name in PEERS]
    curves, times = {}, {name: [] for name in names}
    for place in range(rounds + 1):
        for name in names:
            curves[name], taken = train(PEERS[name], dtype)
            # The first round warms up.
            if place > 0:
                times[name].append(taken)
    for name in names:
        apart = max(abs(a - b) for a, b in zip(curves[name], curves["mentor"], strict=True))
        first, last = curves[name][0], curves[name][-1]
        seconds = statistics.median(times[name])
        print(f"{dtype}, {name}: loss {first:.5f} to {last:.5f}, at most {apart:.1e} from mentor's, {seconds:.2f} s")


def peers_of_size(size):
    return {name: loss for name, loss in PEERS.items() if size <= LARGEST.get(name, size)}


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--large", action="store_true")
    options.add_argument("--train", action="store_true")
    told = options.parse_args()
    if told.train:
        for dtype in (torch.float32, torch.float64):
            compare_training(told.rounds, dtype)
        return
    print("| batch | " + " | ".join(PEERS) + " |")
    print("|---|" + "---|" * len(PEERS))
    for size, dim in SIZES:
        times = compare(size, dim, told.rounds)
        cells = []
        for name in PEERS:
            ratio = (
                "" if name == "mentor" or name not in times else f" ({times[name] / times['mentor']:.0f}×)"
            )
            cells.append(f"{times[name]:.1f} ms{ratio}" if name in times else "—")
        print(f"| {size:,} of {dim} | " + " | ".join(cells) + " |")
    if told.large:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows, labels = batch(60_000, 128)
        taken, value, _ = step(PEERS["mentor"], rows, labels)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        mib = f"{after - before:,.0f} MiB on top of {before:,.0f}"
        print(f"60,000 of 128: loss {value:.6f}, {taken / 1000:.1f} s, {mib}")


PEERS = peers()

if __name__ == "__main__":
    main()
