"""Exported models beside mentor: the ONNX checker, ONNX Runtime, and what the operator Resize would give.

    python reference/onnx_models.py MENTOR RUN PICTURES

MENTOR is the binary, RUN a complete run, PICTURES a folder of image files. For the run it exports both forms
of the file, has the ONNX checker infer all shapes, and compares ONNX Runtime's answers with those of `mentor
predict` (a classifier) or `mentor embed` on every picture at its own size. Prints one line of JSON.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

MENTOR, RUN, PICTURES = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def mentor(*arguments):
    done = subprocess.run([MENTOR, *map(str, arguments)], capture_output=True, check=False)
    if done.returncode not in (0, 3):  # 3: some pictures cannot be read
        sys.exit(done.stderr.decode())
    return done.stdout.decode()


def exported(folder, kind):
    path = folder / f"{kind}.onnx"
    mentor("export", RUN, "--out", path, "--input", kind)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    known = {value.name for value in [*inferred.graph.value_info, *inferred.graph.output]}
    missing = [name for node in inferred.graph.node for name in node.output if name not in known]
    assert not missing, f"no shape: {missing}"
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return model, ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def picture(path):
    """Bytes [1, H, W, 3] as mentor reads a file: upright, on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))[None]


def resize_operator(preprocessing, image):
    """The same by the operator Resize with antialias, for the policy stretch."""
    form = preprocessing["format"]
    sizes = numpy_helper.from_array(np.array([1, 3, form["height"], form["width"]]), "sizes")
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", antialias=1)
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [sizes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    planes = image.transpose(0, 3, 1, 2).astype(np.float32)
    return np.floor(np.clip(session.run(None, {"x": planes})[0], 0, 255) + 0.5)


def answers(folder, pictures, classes):
    """What mentor gives for each picture that it can read: probabilities in class order, or the embedding."""
    if classes:
        rows = [json.loads(line) for line in mentor("predict", RUN, pictures, "--top", len(classes)).splitlines()]
        of_class = {row["path"]: {t["class"]: t["confidence"] for t in row["top"]} for row in rows}
        return {path: np.array([found[name] for name in classes]) for path, found in of_class.items()}
    mentor("embed", RUN, pictures, "--out", folder / "e.npy", "--ids", folder / "ids.csv")
    ids = [row["id"] for row in csv.DictReader(io.StringIO((folder / "ids.csv").read_text()))]
    return dict(zip(ids, np.load(folder / "e.npy")))


class Apart:
    """The same classes and the largest difference: of probabilities, or of embeddings by their length."""

    def __init__(self, classes):
        self.output, self.same, self.largest = "probabilities" if classes else "embedding", 0, 0.0

    def add(self, wanted, found):
        is_class = self.output == "probabilities"
        # Two classes within the tolerance count as one.
        self.same += int(is_class and wanted.max() - wanted[found.argmax()] <= 1e-4)
        apart = np.abs(found - wanted).max() if is_class else np.linalg.norm(found - wanted)
        self.largest = max(self.largest, float(apart / (1.0 if is_class else np.linalg.norm(wanted))))

    def found(self):
        same = {"same_class": self.same} if self.output == "probabilities" else {}
        return {**same, f"{self.output}_apart": self.largest}


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, by_image = exported(folder, "image")
        _, by_tensor = exported(folder, "tensor")
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        classes, preprocessing = json.loads(metadata["classes"]), json.loads(metadata["preprocessing"])
        # The bytes that the file resizes a picture to.
        tapped = onnx.load(folder / "image.onnx")
        resized_bytes = helper.make_tensor_value_info("columns.product.bytes", TensorProto.FLOAT, None)
        tapped.graph.output.append(resized_bytes)
        tap = ort.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
        mean, std = (np.array(preprocessing[key], np.float32)[None, :, None, None] for key in ("mean", "std"))
        expected = answers(folder, PICTURES, classes)
        image_form, tensor_form, operator = Apart(classes), Apart(classes), []
        same_size = folder / "same-size"
        same_size.mkdir()
        tensors = {}
        for number, (path, wanted) in enumerate(expected.items()):
            image = picture(path)
            image_form.add(wanted, by_image.run([image_form.output], {"image": image})[0][0])
            [planes] = tap.run(["columns.product.bytes"], {"image": image})
            if preprocessing["format"].get("resize", "stretch") == "stretch" and planes.shape[1] == 3:
                operator.append(np.abs(planes - resize_operator(preprocessing, image)))
            # The resized picture as a file, which mentor takes as it is.
            saved = same_size / f"{number}.png"
            Image.fromarray(planes[0].astype(np.uint8).transpose(1, 2, 0).squeeze()).save(saved)
            tensors[str(saved)] = (planes * (1 / (255 * std)) - mean / std).astype(np.float32)
        for path, wanted in answers(folder, same_size, classes).items():
            tensor_form.add(wanted, by_tensor.run([tensor_form.output], {"tensor": tensors[path]})[0][0])
        print(json.dumps({
            "architecture": metadata["architecture"],
            "resize": preprocessing["format"].get("resize", "stretch"),
            "pictures": len(expected),
            "image": image_form.found(),
            "tensor": tensor_form.found(),
            "operator_levels": [float(np.max(operator)), float(np.mean(operator))] if operator else None,
        }))


main()
