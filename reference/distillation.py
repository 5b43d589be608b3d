"""Golden numbers of distillation, from PyTorch in double precision. Writes golden/distillation.json.

Values of the loss on scores are per sample, with T² and without weights; gradients are those of their sum with respect to
the student. The relational loss is one number a batch, after equations 4 to 6 of Park et al. 2019 with the mean over pairs.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

TEMPERATURES = [1.0, 2.0, 4.0, 20.0]


def exact(array):
    """Rounded to multiples of 1/64, which f32 holds exactly."""
    return np.round(np.asarray(array, dtype=np.float64) * 64) / 64


def with_gradient(name, loss, student, **inputs):
    leaf = torch.tensor(student, dtype=torch.float64, requires_grad=True)
    values = loss(leaf)
    values.sum().backward()
    return {"name": name, **inputs, "student": np.asarray(student).tolist(), "values": values.tolist(), "gradient": leaf.grad.tolist()}


def soft(student, teachers, temperature):
    """T² KL(mean of the teachers' probabilities ‖ student), for each sample."""
    target = torch.stack([F.softmax(t / temperature, 1) for t in teachers]).mean(0)
    divergence = F.kl_div(F.log_softmax(student / temperature, 1), target, reduction="none").sum(1)
    return temperature**2 * divergence


def relative(embeddings):
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    off_diagonal = ~torch.eye(len(embeddings), dtype=torch.bool)
    pairs = distances[off_diagonal]
    return pairs / pairs.mean()


def main():
    rng = np.random.default_rng(5)
    tensor = lambda values: torch.tensor(values, dtype=torch.float64)
    batches = {
        "two_by_four": ([[1, 2, 0.5, -1], [0.3, -0.7, 2.2, 0.1]], [[[3, 1, 0.2, -2], [0.5, -1.5, 4, 1]]], [0, 2]),
        "random": (exact(rng.normal(0, 3, (6, 5))), [exact(rng.normal(0, 4, (6, 5)))], [0, 1, 2, 3, 4, 0]),
        "two_teachers": (exact(rng.normal(0, 3, (6, 5))), exact(rng.normal(0, 4, (2, 6, 5))), [4, 3, 2, 1, 0, 0]),
        "nearly_learned": None,
        "extreme": ([[1e4, -1e4, 0.0], [-1e4, 1e4, 9984.0], [1e4, 1e4, 1e4]], [[[1e4, 0.0, -1e4], [-1e4, 1e4, 1e4], [0.0, 0.0, 32.0]]], [0, 1, 2]),
    }
    learned = exact(rng.normal(0, 3, (6, 5)))
    batches["nearly_learned"] = (learned, [learned + exact(rng.normal(0, 0.05, (6, 5)))], [0, 1, 2, 3, 4, 0])

    cases = []
    for batch, (student, teachers, targets) in batches.items():
        given = {"batch": batch, "teachers": [np.asarray(t).tolist() for t in teachers], "targets": targets}
        y = torch.tensor(targets)
        for temperature in TEMPERATURES:
            loss = lambda s: soft(s, [tensor(t) for t in teachers], temperature)
            cases.append(with_gradient("soft", loss, student, temperature=temperature, **given))
        cases.append(with_gradient("hard", lambda s: F.cross_entropy(s, y, reduction="none"), student, **given))
        labels = torch.stack([F.softmax(tensor(t), 1) for t in teachers]).mean(0).argmax(1)
        teacher_class = lambda s: F.cross_entropy(s, labels, reduction="none")
        if batch != "extreme":  # ties decide the class there
            cases.append(with_gradient("teacher_class", teacher_class, student, temperature=1.0, **given))

    student, teacher = exact(rng.normal(0, 1, (7, 3))), exact(rng.normal(0, 2, (7, 5)))
    far = student.copy()
    far[0] *= 64  # relative distances beyond Huber's corner
    for batch, embeddings in {"random": student, "far": far}.items():
        loss = lambda s: F.smooth_l1_loss(relative(s), relative(tensor(teacher)), beta=1.0)
        cases.append(with_gradient("relational_distance", loss, embeddings, batch=batch, teachers=[teacher.tolist()]))
    teacher = exact(rng.normal(0, 2, (7, 3)))
    loss = lambda s: 1 - F.cosine_similarity(s, tensor(teacher), dim=1, eps=1e-30)
    cases.append(with_gradient("cosine", loss, student, batch="random", teachers=[teacher.tolist()]))

    golden = {
        "made_by": "reference/distillation.py",
        "versions": {"torch": torch.__version__.split("+")[0], "numpy": np.__version__},
        "cases": cases,
    }
    path = pathlib.Path(__file__).parent / "golden" / "distillation.json"
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
