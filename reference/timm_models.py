"""Loads a folder of `mentor export --format safetensors` in timm, and compares its answers with the run's.

usage: python reference/timm_models.py MENTOR RUN PICTURES/
needs: timm torch pillow numpy. Pictures have the model's size, so that nobody resizes. Prints one line.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import timm
import torch
from PIL import Image

mentor, run, pictures = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([mentor, "export", run, "--format", "safetensors", "--out", folder], check=True)
    config = json.loads(pathlib.Path(folder, "config.json").read_text())
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    lines = subprocess.run(
        [mentor, "predict", run, pictures, "--top", "1000"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    channels, height, width = config["pretrained_cfg"]["input_size"]
    mean, std = (numpy.array(config["pretrained_cfg"][name], "f4") for name in ["mean", "std"])
    calibration = config["mentor"]["calibration"] or {"temperature": 1.0, "biases": []}
    apart, same = 0.0, 0
    for line in expected:
        picture = Image.open(line["path"]).convert("RGB" if channels == 3 else "L")
        assert picture.size == (width, height), line["path"]
        pixels = numpy.asarray(picture, "f4").reshape(height, width, channels) / 255
        tensor = torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1)[None])
        with torch.inference_mode():
            scores = model(tensor)[0].double() / calibration["temperature"]
        if calibration["biases"]:
            scores += torch.tensor(calibration["biases"])
        probabilities = dict(zip(config["pretrained_cfg"]["label_names"], scores.softmax(0).tolist()))
        same += max(probabilities, key=probabilities.get) == line["predicted"]
        top = line.get("top") or [{"class": line["predicted"], "confidence": line["confidence"]}]
        apart = max(apart, *(abs(probabilities[entry["class"]] - entry["confidence"]) for entry in top))
    name = config["architecture"]
    print(f"{name}: {same} of {len(expected)} the same class, probabilities {apart:.1e} apart at most")
