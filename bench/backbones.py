"""Frozen features, images a second: mentor beside ONNX Runtime and PyTorch, on the same seeded networks and pixels.

    bench/backbones.py [--batch 32] [--threads 2] [--only mobilenetv2]

Needs the packages of reference/requirements.txt, onnxruntime and onnx. The three take turns, and the best of five runs
counts for each: other work on the machine then costs all of them alike. The networks' features are compared first.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnxruntime
import timm
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = {
    "mobilenetv2": "mobilenetv2_100",
    "efficientnet-lite0": "efficientnet_lite0",
    "resnet-18": "resnet18",
    "resnet-50": "resnet50",
    "vit-small": "vit_small_patch16_224",
}


def best(run, repeats=5):
    run()
    return min(timed(run) for _ in range(repeats))


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--binary", default=str(ROOT / "target/release/examples/images_per_second"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print("| network | mentor | ONNX Runtime | PyTorch | mentor / ONNX Runtime |")
    print("|---|--:|--:|--:|--:|")
    for name, timm_name in NETWORKS.items():
        if options.only not in (None, name):
            continue
        model = timm.create_model(timm_name, num_classes=0).eval()
        pixels = torch.randn(options.batch, 3, 224, 224)
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            save_file(model.state_dict(), f"{folder}/{name}.safetensors")
            torch.onnx.export(model, (pixels,), f"{folder}/model.onnx", dynamo=False, input_names=["pixels"])
            session_options = onnxruntime.SessionOptions()
            session_options.intra_op_num_threads = options.threads
            session = onnxruntime.InferenceSession(f"{folder}/model.onnx", session_options)
            feed = {"pixels": pixels.numpy()}
            command = [options.binary, f"{folder}/{name}.safetensors", str(options.batch), str(options.threads)]
            mentor = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
            ort = options.batch / best(lambda: session.run(None, feed))
            pytorch = options.batch / best(lambda: model(pixels))
            again = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
            mentor = max(mentor, again)
        print(f"| {name} | {mentor:.1f} | {ort:.1f} | {pytorch:.1f} | {mentor / ort:.2f} |", flush=True)


if __name__ == "__main__":
    main()
