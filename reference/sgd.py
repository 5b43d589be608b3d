"""Golden numbers of gradient descent, from PyTorch in double precision. Writes golden/sgd.json.

The function is J(w) = ½ Σ a_k w_k² with a = (1, 4, 0.5) from w = (1, −2, 3): its gradient a·w depends on w, so an
error in the order of operations shows. Every case lists the weights after each of ten steps.
"""

import json
import pathlib

import torch

CURVATURE = [1.0, 4.0, 0.5]
START = [1.0, -2.0, 3.0]
NUM_STEPS = 10


def descend(max_norm=None, schedule=None, **options):
    weights = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    curvature = torch.tensor(CURVATURE, dtype=torch.float64)
    optimizer = torch.optim.SGD([weights], **options)
    scheduler = schedule(optimizer) if schedule else None
    steps, learning_rates, norms = [], [], []
    for _ in range(NUM_STEPS):
        optimizer.zero_grad()
        (0.5 * curvature * weights**2).sum().backward()
        if max_norm is not None:
            norms.append(float(torch.nn.utils.clip_grad_norm_([weights], max_norm)))
        learning_rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler:
            scheduler.step()
        steps.append(weights.tolist())
    return {"options": options, "max_norm": max_norm, "norms": norms, "learning_rates": learning_rates, "weights": steps}


def velocities(**options):
    """The first three velocities under a constant gradient of 1: the weights move by exactly minus the velocity."""
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0, **options)
    seen = []
    for _ in range(3):
        before = weight.item()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        seen.append(before - weight.item())
    return {"options": options, "velocities": seen}


def main():
    lr_scheduler = torch.optim.lr_scheduler
    step = lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.1)
    cosine = lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=NUM_STEPS)
    golden = {
        "made_by": "reference/sgd.py",
        "versions": {"torch": torch.__version__.split("+")[0]},
        "curvature": CURVATURE,
        "start": START,
        "cases": {
            "plain": descend(lr=0.1),
            "momentum": descend(lr=0.1, momentum=0.9),
            "nesterov": descend(lr=0.1, momentum=0.9, nesterov=True),
            "dampened": descend(lr=0.1, momentum=0.9, dampening=0.1),
            "l2": descend(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.02),
            "clipped": descend(lr=0.1, momentum=0.9, max_norm=2.0),
            "step_4_gamma_0.1": descend(lr=0.1, schedule=step),
            "cosine": descend(lr=0.1, schedule=cosine),
        },
        "velocities": [velocities(momentum=0.9), velocities(momentum=0.9, dampening=0.1)],
    }
    path = pathlib.Path(__file__).parent / "golden" / "sgd.json"
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"options"', '\n{"options"') + "\n")


if __name__ == "__main__":
    main()
