"""PyTorch's convolutions at the shapes of `cargo bench -p mentor-kernels --bench kernels`: GFLOP/s of the direct sum and the least time.

python3 bench/convolutions.py [--threads N] [--repeats N]. With one thread, processor time counts, so that what others do on the machine
counts less. NCHW is PyTorch's contiguous layout, NHWC its "channels last"."""

import argparse
import time

import torch

# Name: batch, channels in, rows and columns, channels out, kernel, stride, padding.
SHAPES = {
    "cnn 28x28 1-32": (128, 1, 28, 32, 3, 1, 1),
    "cnn 28x28 32-64": (128, 32, 28, 64, 3, 1, 1),
    "cnn 14x14 64-128": (128, 64, 14, 128, 3, 1, 1),
    "wrn 32x32 3-16": (64, 3, 32, 16, 3, 1, 1),
    "wrn 32x32 16-32": (64, 16, 32, 32, 3, 1, 1),
    "wrn 32x32 32-32": (64, 32, 32, 32, 3, 1, 1),
    "wrn 32x32 32-64 /2": (64, 32, 32, 64, 3, 2, 1),
    "wrn 16x16 64-64": (64, 64, 16, 64, 3, 1, 1),
    "wrn 16x16 64-128 /2": (64, 64, 16, 128, 3, 2, 1),
    "wrn 8x8 128-128": (64, 128, 8, 128, 3, 1, 1),
    "1x1 32x32 16-32": (64, 16, 32, 32, 1, 1, 0),
    "1x1 32x32 32-64 /2": (64, 32, 32, 64, 1, 2, 0),
}


def least(work, repeats, clock):
    work()
    work()
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.thread_time if arguments.threads == 1 else time.perf_counter
    print(f"{'GFLOP/s (ms)':26}{'forward':>17}{'input gradient':>17}{'weight gradient':>17}")
    for layout, memory in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
        for name, (batch, channels, size, outputs, kernel, stride, padding) in SHAPES.items():
            x = torch.randn(batch, channels, size, size).contiguous(memory_format=memory)
            w = torch.randn(outputs, channels, kernel, kernel).contiguous(memory_format=memory)
            dy = torch.randn_like(torch.conv2d(x, w, None, stride, padding))

            def backward(mask):
                options = [stride, stride], [padding, padding], [1, 1], False, [0, 0], 1, mask
                return torch.ops.aten.convolution_backward(dy, x, w, [outputs], *options)

            works = (
                lambda: torch.conv2d(x, w, None, stride, padding),
                lambda: backward([True, False, False]),
                lambda: backward([False, True, False]),
            )
            operations = 2 * dy.numel() * channels * kernel * kernel
            row = f"{layout} {name:21}"
            with torch.no_grad():
                for work in works:
                    seconds = least(work, arguments.repeats, clock)
                    row += f"{f'{operations / seconds / 1e9:.1f} ({seconds * 1e3:.2f})':>17}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
