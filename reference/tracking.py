"""Reads the event files of a run with TensorBoard's own reader and compares them with metrics.jsonl.

    reference/tracking.py RUN          (a run of mentor train --log tensorboard; needs pip's tensorboard)
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def main():
    run = Path(sys.argv[1])
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    found = {(tag, scalar.step): scalar.value for tag in events.Tags()["scalars"] for scalar in events.Scalars(tag)}
    expected = {}
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        kind = {"step": "update"}.get(line["kind"], line["kind"])
        step = line["iteration"] if kind == "iteration" else line["step"]
        for name, value in line.items():
            if isinstance(value, (int, float)) and name not in ("step", "epoch", "iteration"):
                expected[f"{kind}/{name}", step] = single(value)
    assert found == expected, set(found.items()) ^ set(expected.items())
    print(f"{len(found)} scalars of {len(events.Tags()['scalars'])} tags agree")


if __name__ == "__main__":
    main()
