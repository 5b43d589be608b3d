#!/usr/bin/env python3
"""Training steps of PyTorch on the CPU: forward, loss, backward, SGD update with Nesterov momentum.

    torch_step.py --model linear --loss softmax --batch-size 128
    torch_step.py --model mlp:1200,1200
    torch_step.py --model cnn --memory-format channels_last
    torch_step.py --model wrn-16-2 --batch-size 64
    torch_step.py --model vit-4-192-4 --batch-size 64

Prints one JSON object with the fields of mentor's `step_bench`: model, batch_size, step_secs, peak_rss_bytes; and the
losses, so that one sees that both sides train. The networks are those of `mentor models`, layer by layer. Linear
classifiers start at zero, as mentor's do, so that the first loss is ln 10 (softmax) or 9 (svm) on both sides.
"""

import argparse
import re
import time
from pathlib import Path

import numpy as np
import torch
from common import cpu_count, emit, load, peak_rss_bytes
from torch import nn
from torch.nn import functional as F

IMPORT_RSS_BYTES = peak_rss_bytes()
NUM_CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="linear | mlp:1200,1200 | cnn | wrn-16-2 | vit-4-192-4")
    parser.add_argument("--loss", choices=["softmax", "svm"], default="softmax")
    parser.add_argument("--steps", type=int, default=20, help="timed steps")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them that are not timed")
    updates = ["default", "fused"]
    parser.add_argument("--update", choices=updates, default="fused", help="implementation of torch.optim.SGD")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model (needs a C++ compiler)")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    args, memory_format = begin(parser)

    model, shape = build(args.model)
    model = model.to(memory_format=memory_format)
    batches = make_batches(args, shape, memory_format)
    num_params = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.SGD(
        parameter_groups(model, args.l2),
        lr=args.learning_rate,
        momentum=0.9,
        nesterov=True,
        fused=args.update == "fused" or None,
    )
    loss_of = {"softmax": F.cross_entropy, "svm": weston_watkins}[args.loss]
    step_model = torch.compile(model) if args.compile else model

    step_secs, losses = [], []
    for step in range(args.warmup + args.steps):
        images, targets = batches[step % len(batches)]
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(step_model(images), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step >= args.warmup:
            step_secs.append(time.perf_counter() - start)

    emit(
        {
            "peer": f"torch {torch.__version__}",
            "model": args.model,
            "loss": args.loss,
            "batch_size": args.batch_size,
            "num_params": num_params,
            "memory_format": args.memory_format,
            "update": args.update,
            "compile": args.compile,
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "step_secs": step_secs,
            "median_secs": float(np.median(step_secs)),
            "min_secs": min(step_secs),
            "max_secs": max(step_secs),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "import_rss_bytes": IMPORT_RSS_BYTES,
            "peak_rss_bytes": peak_rss_bytes(),
        }
    )


def begin(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, torch.memory_format]:
    """Adds and takes the arguments that all trainings have, seeds, and sets the threads."""
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--memory-format", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--l2", type=float, default=0.0, help="λ of Σw²; torch's weight_decay is 2λ")
    parser.add_argument("--threads", type=int, default=cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    return args, formats[args.memory_format]


def weston_watkins(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of Σ_{j≠y} max(0, s_j − s_y + 1). PyTorch's fused form divides by the classes."""
    return F.multi_margin_loss(scores, targets) * scores.shape[1]


def parameter_groups(model: nn.Module, l2: float) -> list[dict]:
    """Weights are penalised; biases and normalisation parameters never are."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": 2 * l2}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def make_batches(args: argparse.Namespace, shape: tuple[int, int, int], memory_format: torch.memory_format) -> list:
    """Up to 8 batches, ready in memory: the data set's first images where the shape is theirs, else noise."""
    count = 8 * args.batch_size
    if shape == (1, 28, 28) and args.data.is_dir():
        pixels, targets = tensors(args.data, "train", count)
    else:
        pixels = torch.rand(count, *shape)
        targets = torch.randint(NUM_CLASSES, (count,))
    pixels = (pixels - pixels.mean()) / pixels.std()
    split = zip(pixels.split(args.batch_size), targets.split(args.batch_size))
    return [(x.contiguous(memory_format=memory_format), y) for x, y in split if len(x) == args.batch_size]


def tensors(data: Path, split: str, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, 1, 28, 28] from 0 to 1, and labels [N]."""
    images, labels = load(data, split, limit)
    pixels = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return pixels, torch.from_numpy(labels.astype(np.int64))


def build(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """The model and the [C, H, W] of its images."""
    if name == "linear":
        classifier = nn.Linear(784, NUM_CLASSES)
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
        return nn.Sequential(nn.Flatten(), classifier), (1, 28, 28)
    if re.fullmatch(r"mlp:\d+(,\d+)*", name):
        widths = [784, *map(int, name[4:].split(","))]
        hidden = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Linear(a, b), nn.ReLU(inplace=True))]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(widths[-1], NUM_CLASSES)), (1, 28, 28)
    if name == "cnn":
        return cnn(), (1, 28, 28)
    if found := re.fullmatch(r"wrn-(\d+)-(\d+)", name):
        depth, width = map(int, found.groups())
        if depth >= 10 and (depth - 4) % 6 == 0 and width >= 1:
            return WideResNet(depth, width), (3, 32, 32)
    if found := re.fullmatch(r"vit-(\d+)-(\d+)-(\d+)", name):
        patch, width, depth = map(int, found.groups())
        if patch >= 1 and 32 % patch == 0 and width >= 64 and width % 64 == 0:
            return VisionTransformer(patch, width, depth), (3, 32, 32)
    known = "linear, mlp:H1,H2, cnn, wrn-D-K with D = 6n + 4 and vit-P-D-L with D = 64n"
    raise SystemExit(f"error: unknown model {name}; known are {known}")


def cnn() -> nn.Module:
    """conv 3x3 (32), conv 3x3 (64), max-pool 2, conv 3x3 (128), max-pool 2, 256 units, scores; ReLUs between."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, NUM_CLASSES),
    )


class Block(nn.Module):
    """a = relu(norm(x)); shortcut + conv(relu(norm(conv(a)))); the shortcut is x, or a projected to new channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = F.relu(self.norm1(x), inplace=True)
        shortcut = x if self.projection is None else self.projection(activated)
        branch = F.relu(self.norm2(self.conv1(activated)), inplace=True)
        return shortcut + self.conv2(branch)


class WideResNet(nn.Module):
    """Zagoruyko and Komodakis 2016; wrn-16-2 has 691,674 parameters for ten classes."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        channels = [16, 16 * width, 32 * width, 64 * width]
        blocks = []
        for group in range(3):
            for block in range((depth - 4) // 6):
                inputs = channels[group] if block == 0 else channels[group + 1]
                blocks.append(Block(inputs, channels[group + 1], 2 if group > 0 and block == 0 else 1))
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels[-1])
        self.classifier = nn.Linear(channels[-1], NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.blocks(self.stem(images))), inplace=True)
        return self.classifier(x.mean(dim=(2, 3)))


class Attention(nn.Module):
    """Self-attention by PyTorch's fused function, which is faster than nn.MultiheadAttention in training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        queries, keys, values = self.qkv(x).reshape(batch, tokens, 3, self.heads, 64).permute(2, 0, 3, 1, 4)
        output = F.scaled_dot_product_attention(queries, keys, values)
        return self.projection(output.transpose(1, 2).reshape(batch, tokens, width))


class Encoder(nn.Module):
    """x + attention(norm(x)), then x + contract(gelu(expand(norm(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021 with the mean of the tokens; vit-4-192-4 has 1,803,466 parameters for ten classes."""

    def __init__(self, patch: int, width: int, depth: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.positions = nn.Parameter(0.02 * torch.randn((32 // patch) ** 2, width))
        self.blocks = nn.Sequential(*(Encoder(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, NUM_CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.classifier(self.norm(self.blocks(tokens)).mean(dim=1))


if __name__ == "__main__":
    main()
