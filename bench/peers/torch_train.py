#!/usr/bin/env python3
"""A classifier trained by PyTorch on the CPU, with mentor's recipe for `cnn`: the seconds of training, and the test accuracy.

    torch_train.py --epochs 3 --batch-size 64 --learning-rate 0.03 --warmup-epochs 0.3 --dropout 0.25 --l2 1e-4

SGD with Nesterov momentum 0.9, a warm-up of so many epochs and a cosine to zero, standardised pixels that are ready in memory in
their layout; dropout before the classifier. Weights begin as mentor's do: normal with variance 2 / fan-in before a ReLU, biases 0.
Reading, standardising and the test are not timed. Prints one JSON object.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from common import cpu_count, emit, load, peak_rss_bytes
from torch import nn
from torch.nn import functional as F
from torch_step import build, parameter_groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cnn", help="cnn or mlp:1200,1200 [%(default)s]")
    parser.add_argument("--train-samples", type=int, help="so many of the training images [all]")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--warmup-epochs", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--l2", type=float, default=0.0, help="λ of Σw²; torch's weight_decay is 2λ")
    parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--threads", type=int, default=cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    memory_format = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[args.memory_format]
    model = network(args).to(memory_format=memory_format)
    images, targets = tensors(args, "train")
    mean, deviation = images.mean(), images.std()
    images = ((images - mean) / deviation).contiguous(memory_format=memory_format)
    optimizer = torch.optim.SGD(parameter_groups(model, args.l2), lr=0.0, momentum=0.9, nesterov=True, fused=True)
    steps_per_epoch = math.ceil(len(images) / args.batch_size)

    epoch_secs = []
    for epoch in range(args.epochs):
        start = time.perf_counter()
        for index, batch in enumerate(torch.randperm(len(images)).split(args.batch_size)):
            rate = args.learning_rate * factor(epoch * steps_per_epoch + index, steps_per_epoch, args)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(images[batch].contiguous(memory_format=memory_format)), targets[batch]).backward()
            optimizer.step()
        epoch_secs.append(time.perf_counter() - start)
    rss = peak_rss_bytes()

    model.eval()
    images, targets = tensors(args, "test")
    with torch.no_grad():
        right = sum(int((model((x - mean) / deviation).argmax(1) == y).sum()) for x, y in zip(images.split(500), targets.split(500)))
    emit(
        {
            "peer": f"torch {torch.__version__}",
            "epoch_secs": epoch_secs,
            "num_train": args.train_samples or 60_000,
            "num_params": sum(p.numel() for p in model.parameters()),
            "test_accuracy": right / len(targets),
            "peak_rss_bytes": rss,
        }
    )


def network(args: argparse.Namespace) -> nn.Module:
    """The layers of `torch_step`, with dropout before the last and mentor's first weights."""
    layers = list(build(args.model)[0])
    for layer in layers[:-1]:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].bias)
    bound = layers[-1].in_features ** -0.5
    nn.init.uniform_(layers[-1].weight, -bound, bound)
    return nn.Sequential(*layers[:-1], nn.Dropout(args.dropout), layers[-1])


def factor(step: int, steps_per_epoch: int, args: argparse.Namespace) -> float:
    """Of the learning rate, as `Schedule::factor` in mentor."""
    warmup = args.warmup_epochs * steps_per_epoch
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, args.epochs * steps_per_epoch - warmup)))


def tensors(args: argparse.Namespace, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, 1, 28, 28] from 0 to 1, and labels [N]."""
    images, labels = load(args.data, split, args.train_samples if split == "train" else None)
    pixels = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return pixels, torch.from_numpy(labels.astype(np.int64))


if __name__ == "__main__":
    main()
