"""A minimal Python server around ONNX Runtime, beside which `bench/server.py` measures `mentor serve`.

usage: python bench/onnx_server.py model.onnx PORT     (model.onnx is a file of `mentor export`)
needs: fastapi uvicorn onnxruntime pillow numpy
"""

import io
import json
import sys

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

model = onnxruntime.InferenceSession(sys.argv[1])
classes = json.loads(model.get_modelmeta().custom_metadata_map["classes"])
app = FastAPI()


def answer(body: bytes) -> dict:
    picture = numpy.asarray(Image.open(io.BytesIO(body)).convert("RGB"))[None]
    [[probabilities]] = model.run(["probabilities"], {"image": picture})
    return {
        "class": classes[int(probabilities.argmax())],
        "probabilities": {name: float(p) for name, p in zip(classes, probabilities)},
    }


@app.post("/predict")
async def predict(request: Request) -> dict:
    return await run_in_threadpool(answer, await request.body())


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
