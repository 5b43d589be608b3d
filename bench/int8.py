"""A model in eight bits beside the same in floats, in ONNX Runtime: accuracy, McNemar's p, size and speed.

usage: python bench/int8.py FLOAT.onnx INT8.onnx IDX_FOLDER/ [--threads 1] [--rounds 7]
needs: pip install onnx onnxruntime numpy; both files of `mentor export --input tensor` of one classifier; a
       folder with MNIST's t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz

Both files pass the ONNX checker with full inference of shapes. Times are of the processor, medians of
alternating rounds; with several threads the waiting of one for another counts too.
"""

import argparse
import gzip
import json
import math
import pathlib
import statistics
import time

import numpy
import onnx
import onnxruntime


def read(path, header):
    return numpy.frombuffer(gzip.open(path).read()[header:], numpy.uint8)


def p_value(b, c):
    """McNemar's exact two-sided test."""
    n, fewer = b + c, min(b, c)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n) if n else 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("float", type=pathlib.Path)
    parser.add_argument("int8", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    sessions = []
    for path in [args.float, args.int8]:
        onnx.checker.check_model(str(path), full_check=True)
        sessions.append(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    model = json.loads(sessions[0].get_modelmeta().custom_metadata_map["preprocessing"])
    side = [model["format"]["height"], model["format"]["width"]]
    images = read(args.data / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, *side) / 255
    images = ((images - model["mean"][0]) / model["std"][0]).astype(numpy.float32)
    labels = read(args.data / "t10k-labels-idx1-ubyte.gz", 8)

    def classes(session):
        batches = [images[at : at + 100] for at in range(0, len(images), 100)]
        rows = [session.run(["probabilities"], {"tensor": batch})[0] for batch in batches]
        return numpy.concatenate(rows).argmax(1)

    right = [classes(session) == labels for session in sessions]
    only = [int((right[a] & ~right[1 - a]).sum()) for a in (0, 1)]
    sizes = [path.stat().st_size for path in [args.float, args.int8]]
    accuracies = [float(r.mean()) for r in right]
    print(f"{args.int8.name}: accuracy {accuracies[0]:.4f} in floats, {accuracies[1]:.4f} in eight bits")
    print(f"  only one right: {only[0]} and {only[1]}, McNemar's p {p_value(*only):.3f}")
    print(f"  bytes: {sizes[0]} and {sizes[1]}, {sizes[0] / sizes[1]:.2f} times smaller")
    for batch, count in [(1, 200), (64, 8)]:
        taken = [[], []]
        for _ in range(args.rounds):
            for which, session in enumerate(sessions):
                start = time.process_time()
                for at in range(count):
                    session.run(["probabilities"], {"tensor": images[at * batch : (at + 1) * batch]})
                taken[which].append((time.process_time() - start) / count / batch * 1e6)
        a, b = (statistics.median(t) for t in taken)
        print(f"  batch {batch}: {a:.0f} and {b:.0f} us a picture, {a / b:.2f} times as fast", flush=True)


main()
