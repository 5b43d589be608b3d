"""Runs pytorch-metric-learning's own test cases of its triplet and contrastive losses and of its memory, with
mentor's losses in the place of its own.

    git clone --depth 1 https://github.com/KevinMusgrave/pytorch-metric-learning CLONE
    python reference/metric_learning_cases.py CLONE          # needs torch, pytorch-metric-learning, mentor

The cases run on the CPU in float32 and float64. The cases of float16 want the value in float16; mentor gives
it in float32, as PyTorch's automatic mixed precision does.
"""

import argparse
import os
import sys
import unittest
from pathlib import Path

CASES = ["test_triplet_margin_loss", "test_contrastive_loss", "test_cross_batch_memory"]
# It is of NTXentLoss alone, and takes minutes.
LEFT_OUT = "test_sanity_check"


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("clone", type=Path, help="a clone of pytorch-metric-learning")
    clone = options.parse_args().clone
    if not (clone / "tests/losses").is_dir():
        options.error(f"{clone} has no tests/losses: clone the repository, the package has no tests")
    os.environ |= {"TEST_DEVICE": "cpu", "TEST_DTYPES": "float32,float64"}
    os.chdir(clone)
    sys.path[:0] = ["src", "."]

    import torch

    import mentor.torch
    from pytorch_metric_learning import losses

    # Small tensors: threads would wait for each other.
    torch.set_num_threads(1)
    # Before the cases import them by these names.
    losses.TripletMarginLoss = mentor.torch.TripletMarginLoss
    losses.ContrastiveLoss = mentor.torch.ContrastiveLoss
    loader = unittest.defaultTestLoader
    found = [loader.loadTestsFromName(f"tests.losses.{case}") for case in CASES]
    cases = [case for module in found for group in module for case in group]
    suite = unittest.TestSuite(case for case in cases if not case.id().endswith(LEFT_OUT))
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
