"""Estimators for scikit-learn."""

import pickle
import threading
import time

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mentor import ConfigError, DataError
from mentor.sklearn import KNNRetriever, LinearClassifier, PretrainedClassifier, SelfTrainer


def explained(estimator):
    """A weight of 2 is a sample twice: the optimum is the same, but not the digits beyond the proven gap."""
    if isinstance(estimator, LinearClassifier):
        same_to_all_digits = (
            "a solution is proven to a gap, and checked to 1e-7: see test_weights_repeat_samples"
        )
        return {"check_sample_weight_equivalence_on_dense_data": same_to_all_digits}
    return {}


@parametrize_with_checks(
    [LinearClassifier(), LinearClassifier("svm", l2=1e-2), KNNRetriever()], expected_failed_checks=explained
)
def test_scikit_learn_finds_no_fault(estimator, check):
    check(estimator)


def digits(count=300):
    X, y = load_digits(return_X_y=True)
    return (X[:count] / 16).astype(np.float32), y[:count]


def test_the_optimum_is_that_of_logistic_regression():
    X, y = digits()
    found = LinearClassifier("softmax", l2=1e-3, gap=1e-7).fit(X, y)
    theirs = LogisticRegression(C=1 / (2 * 1e-3 * len(X)), tol=1e-10, max_iter=10000).fit(X, y)
    assert found.dual_gap_ <= 1e-7 * found.primal_ * 1.001 and found.dual_ <= found.primal_
    assert np.abs(found.coef_ - theirs.coef_).max() < 1e-2
    assert np.abs(found.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-3
    assert (found.predict(X) == theirs.predict(X)).mean() > 0.995


def test_losses_penalties_and_weights():
    X, y = digits()
    assert LinearClassifier("crammer-singer", l2=1e-3).fit(X, y).score(X, y) > 0.98
    sparse = LinearClassifier("softmax", l2=0, l1=1e-3).fit(X, y)
    assert 0.2 < (sparse.coef_ == 0).mean() < 1
    balanced = LinearClassifier(class_weight="balanced").fit(X, y)
    assert balanced.score(X, y) > 0.98


@pytest.mark.parametrize("loss", ["softmax", "svm"])
def test_weights_repeat_samples(loss):
    X, y = digits()
    weights = np.ones(300)
    weights[:50], weights[-50:] = 2, 0
    twice = LinearClassifier(loss, l2=1e-2, gap=1e-6).fit(
        np.concatenate([X[:-50], X[:50]]), np.concatenate([y[:-50], y[:50]])
    )
    weighted = LinearClassifier(loss, l2=1e-2, gap=1e-6).fit(X, y, weights)
    assert abs(twice.primal_ - weighted.primal_) <= 1e-6 * twice.primal_
    assert np.abs(twice.predict_proba(X) - weighted.predict_proba(X)).max() < 1e-3


def test_a_search_and_a_pipeline():
    X, y = digits()
    pipeline = make_pipeline(StandardScaler(), LinearClassifier())
    search = GridSearchCV(pipeline, {"linearclassifier__l2": [1e-4, 1e-2]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.9


def test_pickles_are_safetensors_and_processes_and_threads_share_an_estimator():
    X, y = digits()
    fitted = LinearClassifier().fit(X, y)
    state = fitted.__getstate__()
    length = int.from_bytes(state["_safetensors"][:8], "little")
    assert b'"coef_"' in state["_safetensors"][8 : 8 + length]
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    scores = Parallel(n_jobs=2)(delayed(fitted.score)(X, y) for _ in range(2))
    assert scores == [fitted.score(X, y)] * 2
    results = [None] * 3

    def work(place):
        results[place] = LinearClassifier().fit(X, y).coef_

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(np.array_equal(coef, fitted.coef_) for coef in results)


def test_other_threads_run_while_it_computes():
    X = np.random.default_rng(0).normal(size=(4000, 200)).astype(np.float32)
    y = np.arange(4000) % 10
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    LinearClassifier(l2=1e-6, gap=1e-5).fit(X, y)
    end = time.perf_counter()
    stop.set()
    thread.join()
    assert sum(begin < tick < end for tick in ticks) >= min(5, (end - begin) / 0.05)


def test_an_interrupted_fit_raises_and_can_be_repeated():
    import _thread

    X = np.random.default_rng(0).normal(size=(800, 40)).astype(np.float32)
    y = np.arange(800) % 5
    timer = threading.Timer(0.3, _thread.interrupt_main)
    begin = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        # Far more than it can prove in that time.
        LinearClassifier("svm", l2=1e-8, gap=1e-12).fit(X, y)
    assert time.perf_counter() - begin < 20
    assert LinearClassifier().fit(*digits()).score(*digits()) > 0.98


def test_neighbours_are_those_of_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    X, y = digits()
    distances, places = KNNRetriever(5).fit(X[:200], y[:200]).kneighbors(X[200:])
    expected, expected_places = KNeighborsClassifier(5).fit(X[:200], y[:200]).kneighbors(X[200:])
    assert np.abs(distances - expected).max() < 1e-5
    assert (places == expected_places).mean() > 0.99
    assert KNNRetriever(3, "cosine").fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.85


def test_what_cannot_be_fitted_is_an_exception_with_help():
    X, y = digits()
    for wrong, match in [
        (LinearClassifier("hinge"), "no loss named"),
        (LinearClassifier("svm", l1=1e-3), "L1"),
        (LinearClassifier(l2=-1), "l2 is -1"),
        (LinearClassifier(l2=0, l1=0), "penalty"),
        (LinearClassifier(gap=0), "relative_gap"),
    ]:
        with pytest.raises(ConfigError, match=match):
            wrong.fit(X, y)
    with pytest.raises(DataError, match="one class") as refused:
        LinearClassifier().fit(X, np.zeros(300))
    assert refused.value.help
    with pytest.raises(ValueError):
        LinearClassifier().fit(X * np.nan, y)
    with pytest.raises(ConfigError, match="n_neighbors"):
        KNNRetriever(0).fit(X, y).predict(X)
    with pytest.raises(ConfigError, match="backbone"):
        PretrainedClassifier().fit(["a.png"], ["a"])
    read_only = np.array(X)
    read_only.setflags(write=False)
    assert LinearClassifier().fit(np.asfortranarray(read_only), y.astype(str)).predict(X)[0] == "0"


def test_labels_and_images_without_labels_train_together(tmp_path):
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8).astype(np.uint8) * 15
    labels = np.array(["zero", "one", "two"])[np.minimum(y, 2)][y < 3].astype(object)
    images = images[y < 3]
    held_out = labels[-60:].astype(str)
    labels[60:] = None
    options = {"rounds": 1, "epochs": 20, "no_baseline": True}
    trainer = SelfTrainer("mlp:20", options=options).fit(images[:-60], labels[:-60])
    assert (trainer.predict(images[-60:]) == held_out).mean() > 0.7
    assert np.allclose(trainer.predict_proba(images[-60:]).sum(axis=1), 1)
    with pytest.raises(DataError, match="with and without labels"):
        SelfTrainer().fit(images, held_out[:1].repeat(len(images)))
