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

import torch
from common import emit, peak_rss_bytes
from torch import nn
from torch.nn import functional as F
from torch_step import begin, build, parameter_groups, tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cnn", help="cnn or mlp:1200,1200 [%(default)s]")
    parser.add_argument("--train-samples", type=int, help="so many of the training images [all]")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--warmup-epochs", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
    args, memory_format = begin(parser)

    model = network(args).to(memory_format=memory_format)
    images, targets = tensors(args.data, "train", args.train_samples)
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
    test = [part.split(500) for part in tensors(args.data, "test")]
    with torch.no_grad():
        right = [model((x - mean) / deviation).argmax(1) == y for x, y in zip(*test)]
    emit(
        {
            "peer": f"torch {torch.__version__}",
            "epoch_secs": epoch_secs,
            "num_train": len(images),
            "num_params": sum(p.numel() for p in model.parameters()),
            "test_accuracy": torch.cat(right).double().mean().item(),
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


if __name__ == "__main__":
    main()
