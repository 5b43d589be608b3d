"""Runs, measures, errors and the command line."""

import _thread
import json
import os
import subprocess
import sys
import threading
from html import unescape

import numpy as np
import pytest

import mentor
from mentor import ConfigError, DataError, Interrupted, MentorError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of 30 pictures: bright at the top, or at the bottom."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for name, rows in [("top", slice(0, 8)), ("bottom", slice(8, 16))]:
        (folder / name).mkdir()
        for number in range(30):
            picture = noise.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            picture[rows] += 120
            header = b"P6 16 16 255\n"
            (folder / name / f"{number}.ppm").write_bytes(header + picture.tobytes())
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "a"
    return mentor.train(data=photos, model="mlp:16", epochs=6, out=out)


def test_a_run_is_trained_evaluated_and_asked(run, photos, tmp_path):
    assert run.summary["val_accuracy"] > 0.8 and run.classes == ["bottom", "top"]
    assert run.evaluate()["accuracy"] > 0.8
    assert "map_at_r" in run.evaluate(split="all", retrieval=True)
    dark = np.zeros((16, 16, 3), np.uint8)
    dark[:8] = 200
    path = photos / "top" / "0.ppm"
    classes, probabilities = run.predict([path, str(path), dark, dark[:, :, 0]])
    assert classes == ["top"] * 4 and probabilities.shape == (4, 2)
    assert np.allclose(probabilities.sum(axis=1), 1) and np.allclose(probabilities[0], probabilities[1])
    assert run.predict(dark)[0] == ["top"] and run.predict([])[0] == []
    assert len(run.predict(photos / "bottom")[0]) == 30
    assert run.embed(photos).shape == (60, 16)
    places, distances = mentor.search(run, index=photos, query=path, top=3)
    assert places.shape == (1, 3) and distances[0, 0] < 1e-4 and (np.diff(distances) >= 0).all()
    shown = unescape(run._repr_html_())
    assert shown.startswith("<iframe") and 'class="facts"' in shown and "<script" not in shown
    assert "<html" in run.report(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size > 1000 and (run.path / "report.html").exists()
    assert mentor.evaluate(run.path)["accuracy"] == run.evaluate()["accuracy"]


def test_a_pil_image_is_its_pixels(run):
    Image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(1).integers(0, 255, (20, 24, 3), dtype=np.uint8)
    for mode in ["RGB", "L", "P"]:
        image = Image.fromarray(pixels).convert(mode)
        expected = np.asarray(image.convert("RGB") if mode == "P" else image)
        assert np.array_equal(run.predict(image)[1], run.predict([expected])[1])


def test_a_student_and_an_embedding_model(run, photos, tmp_path):
    student = mentor.distill(
        teacher=run, data=photos, model="linear", epochs=2, no_baseline=True, out=tmp_path / "s"
    )
    assert student.summary["agreement"] > 0.5
    faces = mentor.train(
        data=photos, model="mlp:8", loss="triplet", epochs=2, embedding_size=4, out=tmp_path / "e"
    )
    assert "precision_at_1" in faces.evaluate()
    with pytest.raises(ConfigError, match="no classes") as refused:
        faces.predict(photos)
    assert "embed" in refused.value.help


def test_a_gap_is_a_result(tmp_path):
    run = mentor.train(data="digits", l2=1e-2, gap=1e-2, out=tmp_path / "g", set={"training.seed": 3})
    assert run.summary["certified"] is True


def test_keywords_are_checked_by_name_and_in_the_words_of_the_library(photos, tmp_path):
    with pytest.raises(ConfigError, match="no keyword 'learning_rat'") as refused:
        mentor.train(data=photos, learning_rat=0.1)
    assert refused.value.help == "perhaps learning_rate is meant"
    with pytest.raises(ConfigError) as refused:
        mentor.train(data=photos, learning_rate=-1, out=tmp_path / "x")
    assert "learning_rate" in str(refused.value) and "--" not in str(refused.value)
    with pytest.raises(ConfigError, match="epochs"):
        mentor.train(data=photos, epochs="many")
    with pytest.raises(DataError) as refused:
        mentor.train(data="nowhere", out=tmp_path / "x")
    assert refused.value.help.startswith("check the path") and "\nhelp: check the path" in str(refused.value)


def test_bad_images_are_exceptions(run, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for wrong in [
        tmp_path / "text.png",
        tmp_path / "missing.png",
        np.zeros((4, 4)),
        np.zeros((4, 4, 7), np.uint8),
    ]:
        with pytest.raises(DataError):
            run.predict([wrong])
    with pytest.raises(DataError):
        run.predict(7)
    with pytest.raises(ConfigError, match="write train"):
        run.evaluate(split="every")


def test_a_closed_run_says_so(run):
    with mentor.Run(run.path) as again:
        again.predict([])
    for use in [lambda: again.predict([]), lambda: again.evaluate(), lambda: again.report()]:
        with pytest.raises(MentorError, match="closed") as refused:
            use()
        assert refused.value.help
    with pytest.raises(ConfigError):
        mentor.Run("nowhere")


def test_ctrl_c_leaves_a_checkpoint_and_the_same_call_continues(tmp_path):
    def train():
        return mentor.train(data="digits", model="mlp:64,64", epochs=400, patience=0, out=tmp_path / "r")

    threading.Timer(2.0, _thread.interrupt_main).start()
    with pytest.raises(Interrupted) as stopped:
        train()
    assert isinstance(stopped.value, KeyboardInterrupt) and "after update" in str(stopped.value)
    assert list((tmp_path / "r" / "checkpoints").iterdir())
    with pytest.raises(ConfigError):
        mentor.Run(tmp_path / "r")


def test_an_exception_of_the_progress_stops_training(monkeypatch, tmp_path):
    def broken(self, kind, values):
        raise RuntimeError("the terminal is gone")

    monkeypatch.setattr(mentor.progress.Progress, "__call__", broken)
    with pytest.raises(RuntimeError, match="the terminal is gone"):
        mentor.train(data="digits", model="mlp:64", epochs=400, out=tmp_path / "r")


def test_progress_is_shown(capsys, photos, tmp_path):
    mentor.train(data=photos, model="linear", epochs=2, progress=True, out=tmp_path / "p")
    shown = capsys.readouterr().err
    assert "linear: " in shown and "training and" in shown


def test_measures_are_those_of_sorted_distances():
    torch = pytest.importorskip("torch")
    rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 6
    found = mentor.retrieval(rows, labels)
    distances = torch.cdist(rows, rows)
    distances.fill_diagonal_(float("inf"))
    indices = distances.argsort(dim=1)[:, :59]
    same = labels[indices] == labels[:, None]
    count = 9
    precision = same.float().cumsum(1) / torch.arange(1, 60)
    assert abs(found["precision_at_1"] - same[:, 0].float().mean()) < 1e-6
    assert abs(found["r_precision"] - same[:, :count].float().mean()) < 1e-6
    assert abs(found["map_at_r"] - (precision * same)[:, :count].sum(1).mean() / count) < 1e-6


def test_measures_of_names_a_gallery_and_what_is_refused():
    rows = np.array([[0.0], [1.0], [4.0], [6.0], [7.0]])
    assert mentor.retrieval(rows, ["a", "a", "a", "b", "b"])["precision_at_1"] == 0.8
    found = mentor.retrieval(rows[:1], ["a"], gallery=rows[1:], gallery_labels=["a", "a", "b", "b"])
    assert found["precision_at_1"] == 1.0
    for wrong in [
        lambda: mentor.retrieval(rows, ["a"]),
        lambda: mentor.retrieval(rows[:, 0], [0] * 5),
        lambda: mentor.retrieval([["a"]], [0]),
        lambda: mentor.retrieval([[1.0], [1.0, 2.0]], [0, 0]),
        lambda: mentor.retrieval(rows * np.nan, [0] * 5),
        lambda: mentor.retrieval(rows * 1e300, [0] * 5),
        lambda: mentor.retrieval(rows, [0.0, np.nan, 0, 0, 0]),
        lambda: mentor.retrieval(rows, [0] * 5, gallery=np.zeros((2, 3)), gallery_labels=[0, 1]),
    ]:
        with pytest.raises(DataError) as refused:
            wrong()
        assert refused.value.help
    for wrong in [
        lambda: mentor.retrieval(rows, [0] * 5, metric="manhattan"),
        lambda: mentor.retrieval(rows, [0] * 5, gallery=rows),
        lambda: mentor.retrieval(rows, [0] * 5, k=0),
    ]:
        with pytest.raises(ConfigError):
            wrong()


def command(*arguments, **options):
    code = "import sys; from mentor._command import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, **options)


def test_the_command_is_the_command_line(run):
    version = command("--version")
    assert (version.returncode, version.stdout.split()) == (0, ["mentor", mentor.__version__])
    evaluated = command("eval", str(run.path), "--json")
    assert (
        evaluated.returncode == 0 and json.loads(evaluated.stdout)["accuracy"] == run.evaluate()["accuracy"]
    )
    wrong = command("eval", "nowhere")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ")


def test_importing_is_quick_and_brings_no_other_library():
    code = (
        "import numpy, sys, time; begin = time.process_time(); import mentor; "
        "print(time.process_time() - begin, 'torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    seconds = []
    for _ in range(3):
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken, others = told.stdout.split()
        assert others == "False"
        seconds.append(float(taken))
    assert min(seconds) < 0.1


def test_forked_processes_are_not_forgotten():
    pid = os.fork()
    if pid == 0:
        os._exit(0 if mentor.retrieval([[0.0], [1.0]], [0, 0])["precision_at_1"] == 1.0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
