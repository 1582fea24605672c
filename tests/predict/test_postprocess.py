from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax

from gradus.calibrate.saving import save_postprocessed
from gradus.checkpoints import open_checkpoint, read_manifest
from gradus.data.dataset import Split
from gradus.errors import CheckpointError, UsageError
from gradus.measure import quality
from gradus.predict import load
from gradus.predict.linear import save_constant
from gradus.predict.postprocess import Postprocess, mapped_labels, merged, tempered
from gradus.predict.postprocessed import PostprocessedPredictor
from gradus.predict.stream import predict_stream
from gradus.records import CheckpointRef, Span
from gradus.testing import World

LABELS = ("a", "b", "c", "d")
LOGITS = np.array([2.0, 1.5, 0.0, -1.0])
names = st.text(min_size=1, max_size=6)
shares = st.floats(0.001, 0.999)
posts = st.builds(
    Postprocess,
    temperature=st.floats(0.05, 50),
    label_map=st.dictionaries(names, names, max_size=4),
    thresholds=st.dictionaries(names, shares, max_size=4),
    abstain_below=st.none() | st.floats(0, 1),
    repair=st.none() | st.sampled_from(["viterbi", "begin", "drop"]),
)
rows = st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=1, max_size=5).map(
    lambda r: log_softmax(np.array(r), axis=1)
)


@pytest.fixture
def parent(tmp_path: Path) -> CheckpointRef:
    return save_constant(tmp_path / "parent", LOGITS, "label", labels=LABELS)


def opened(parent: CheckpointRef, **post: Any) -> Any:
    place = Path(parent.path).with_name("child")
    return load(save_postprocessed(place, parent, Postprocess(**post), {}))


@given(posts)
def test_json_and_back(post: Postprocess) -> None:
    assert Postprocess.read(json.loads(json.dumps(post.to_json()))) == post
    assert Postprocess.of(post.preprocessing()) == post
    assert bool(post) == (post != Postprocess())


@given(rows, st.floats(0.05, 50))
def test_temperature_keeps_the_order_and_the_sum(given_rows: np.ndarray, t: float) -> None:
    found = tempered(given_rows, t, "label")
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-12)
    order = np.argsort(given_rows, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()


@given(rows, st.dictionaries(st.sampled_from(LABELS), st.sampled_from(["b", "x"]), max_size=4))
def test_merged_probabilities_add_up(given_rows: np.ndarray, label_map: dict[str, str]) -> None:
    found = np.exp(merged(given_rows, LABELS, label_map, "label"))
    new = mapped_labels(LABELS, label_map)
    assert found.shape == (len(given_rows), len(new))
    for column, name in enumerate(new):
        own = [i for i, label in enumerate(LABELS) if label_map.get(label, label) == name]
        np.testing.assert_allclose(
            found[:, column], np.exp(given_rows[:, own]).sum(axis=1), atol=1e-12
        )
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@settings(max_examples=50)
@given(st.floats(-8, 8), st.floats(0.1, 10), st.floats(0.02, 0.98))
def test_a_decision_stays_at_any_temperature(logit: float, t: float, least: float) -> None:
    post = Postprocess(temperature=t)
    log_p = post.log_probs(np.log(expit(np.array([[logit]]))), ("a",), "labels")
    assert math.isclose(float(np.exp(log_p[0, 0])), expit(logit / t), rel_tol=1e-9)
    (moved,) = post.thresholds_of((least,), ("a",), "labels")
    if abs(expit(logit) - least) > 1e-9:
        assert (math.exp(log_p[0, 0]) >= moved) == (expit(logit) >= least)


def test_thresholds_at_the_very_ends_stay_at_any_temperature() -> None:
    labels, cold = ("a", "b", "c"), Postprocess(temperature=0.01)
    found = cold.thresholds_of((0.0, 1.0, 1e-4), labels, "labels")
    assert found[:2] == (0.0, 1.0)
    assert 0 <= found[2] < 1e-300


def test_labels_of_which_any_holds() -> None:
    p = np.array([[0.2, 0.5, 0.9]])
    found = merged(np.log(p), ("a", "b", "c"), {"a": "x", "b": "x"}, "labels")
    np.testing.assert_allclose(np.exp(found), [[1 - 0.8 * 0.5, 0.9]])
    sure = merged(np.log(np.array([[1.0, 0.5]])), ("a", "b"), {"a": "x", "b": "x"}, "labels")
    assert float(sure[0, 0]) == 0.0


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": "hot"}, "value"),
        ({"thresholds": {"a": 1.0}}, "'a'"),
        ({"abstain_below": 1.5}, "abstain_below"),
        ({"repair": "glue"}, "repair"),
        ({"label_map": {"a": 3}}, "label map"),
        ({"temperatur": 2}, "temperatur"),
    ],
)
def test_what_is_wrong_is_named(raw: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Postprocess.read(raw)


def test_load_puts_it_around(parent: CheckpointRef) -> None:
    model = opened(parent, temperature=2.0, label_map={"c": "x", "d": "x"}, abstain_below=0.5)
    expected = np.exp(LOGITS / 2) / np.exp(LOGITS / 2).sum()
    assert model.labels == ("a", "b", "x")
    np.testing.assert_allclose(
        model.predict_proba(["any"])[0], [*expected[:2], expected[2:].sum()], rtol=1e-12
    )
    (said,) = model.predict(["any"])
    assert said.abstained
    assert said.label is None
    assert said.top[0][0] == "a"
    assert model.predict(["any"], threshold=0.0)[0].label == "a"
    (record,) = predict_stream(model, ["any"])
    assert record["abstained"] is True
    assert "postprocess" in model.contract


def test_the_greatest_multiple_of_its_threshold_is_said(parent: CheckpointRef) -> None:
    model = opened(parent, thresholds={"b": 0.2})
    (said,) = model.predict(["any"], top_k=2)
    probabilities = dict(zip(LABELS, np.exp(LOGITS) / np.exp(LOGITS).sum(), strict=True))
    assert said.label == "b"
    assert said.probability == pytest.approx(probabilities["b"])
    assert said.top[0][0] == "a"
    split = Split(texts=["any"] * 2, labels=np.array([0, 1]), ids=["0", "1"])
    seen = quality.predictions(model.predictor, split, LABELS)
    assert seen.right().tolist() == [False, True]


def test_data_are_called_what_the_checkpoint_calls_them(parent: CheckpointRef) -> None:
    model = opened(parent, label_map={"b": "a", "d": "z"})
    split = Split(texts=["any"] * 4, labels=np.arange(4), ids=list("0123"))
    seen = quality.predictions(model.predictor, split, LABELS)
    assert seen.labels == ("a", "c", "z")
    assert seen.right().tolist() == [True, True, False, False]
    twice = model.mapped({"a": "y"})
    assert twice.labels == ("y", "c", "z")
    assert quality.predictions(twice.predictor, split, LABELS).labels == ("y", "c", "z")


def test_what_does_not_fit_the_checkpoint_is_refused(parent: CheckpointRef) -> None:
    for post, word in (
        ({"label_map": {"q": "a"}}, "no label 'q'"),
        ({"thresholds": {"q": 0.2}}, "no label 'q'"),
        ({"repair": "drop"}, "taggers"),
    ):
        with pytest.raises(CheckpointError, match=word):
            opened(parent, **post)
    number = save_constant(Path(parent.path).with_name("n"), np.array([1.0]), "number")
    with pytest.raises(CheckpointError, match="probabilities"):
        opened(number, temperature=2.0)


@pytest.fixture(scope="module", params=["label", "labels", "spans"])
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp(request.param), target=request.param)
    world.model("tuned")
    return world


POSTS = {
    "label": Postprocess(temperature=1.7, label_map={"tech": "other", "sport": "other"}),
    "labels": Postprocess(temperature=1.7, thresholds={"tech": 0.3}),
    "spans": Postprocess(temperature=1.7, repair="begin", thresholds={"tech": 0.01}),
}


def test_export_carries_it_and_training_refuses_it(tuned: World) -> None:
    post = POSTS[tuned.target]
    child = save_postprocessed(tuned.folder / "child", tuned.model("tuned"), post, {})
    tuned.put("calibrated", child)
    made = tuned.run(
        "quantize",
        {"model": "calibrated", "data": "news", "scheme": "float32"},
        tuned.folder / "exported",
    )
    assert Postprocess.of(read_manifest(made.checkpoint).preprocessing) == post
    (found,) = made.facts["parity"]
    assert found["flips"] == 0
    ours, theirs = load(made.checkpoint), load(child)
    texts = list(tuned.dataset.splits["test"].texts[:20])
    if tuned.target == "spans":
        one, two = ours.predictor.spans(texts), theirs.predictor.spans(texts)
        assert one == two
    else:
        assert ours.labels == theirs.labels
        np.testing.assert_allclose(
            ours.predict_proba(texts), theirs.predict_proba(texts), atol=1e-4
        )
    objective = "tag" if tuned.target == "spans" else "classify"
    configs: dict[str, dict[str, Any]] = {
        "finetune": {"objective": objective, "stages": [{"train": "all", "epochs": 1}]},
        "prune": {"what": "units", "amount": 0.5},
        "quantize": {"scheme": "int8-qat"},
    }
    for step, config in configs.items():
        asked = {"model": "calibrated", "data": "news", **config}
        with pytest.raises(CheckpointError, match="is calibrated"):
            tuned.run(step, asked, tuned.folder / f"refused-{step}")


@pytest.mark.parametrize(
    "scheme",
    [
        "torchao-int8",
        pytest.param("int8-dynamic", marks=pytest.mark.slow),
        pytest.param("openvino-int8", marks=pytest.mark.slow),
    ],
)
def test_every_runtime_answers_at_the_temperature(scheme: str, tmp_path: Path) -> None:
    """What the graph says by itself, tempered by hand, is what the loaded checkpoint says."""
    world = World(tmp_path)
    post = Postprocess(temperature=2.5)
    world.put("calibrated", save_postprocessed(tmp_path / "c", world.model("tuned"), post, {}))
    config = {"model": "calibrated", "data": "news", "scheme": scheme}
    if scheme == "openvino-int8":
        config["calibration"] = {"texts": 16}
    made = world.run("quantize", config, tmp_path / "small")
    model = load(made.checkpoint)
    assert isinstance(model.predictor, PostprocessedPredictor)
    texts = list(world.dataset.splits["test"].texts[:10])
    bare = np.exp(model.predictor.inner.log_probs(texts) / 2.5)
    np.testing.assert_allclose(
        model.predict_proba(texts), bare / bare.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_a_prompt_is_calibrated_as_well(tmp_path: Path) -> None:
    world = World(tmp_path)
    asked = {"model": "lm", "data": "news", "instruction": "Which section?"}
    prompt = world.run("prompt", asked, tmp_path / "prompt")
    world.put("prompt", open_checkpoint(prompt.checkpoint, name="prompt"))
    made = world.run("calibrate", {"model": "prompt", "data": "news"}, tmp_path / "calibrated")
    said = load(made.checkpoint).predict_proba(["Shares rose."])
    bare = load(prompt.checkpoint).predict_proba(["Shares rose."]) ** (
        1 / made.facts["temperature"]
    )
    np.testing.assert_allclose(said, bare / bare.sum(), atol=1e-9)


def test_a_student_of_a_calibrated_teacher_is_not_calibrated(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    post = Postprocess(temperature=3.0)
    world.put("calibrated", save_postprocessed(tmp_path / "c", world.model("tuned"), post, {}))
    made = world.run(
        "distil",
        {
            "teachers": "calibrated",
            "student": {"layers": 1},
            "data": "news",
            "losses": {"soft": 1.0},
            "stages": [{"train": "all", "epochs": 1}],
        },
        tmp_path / "student",
    )
    assert "postprocess" not in read_manifest(made.checkpoint).preprocessing


def test_files_are_the_parents(parent: CheckpointRef) -> None:
    opened(parent, temperature=2.0)
    child = Path(parent.path).with_name("child")
    one, two = read_manifest(Path(parent.path)), read_manifest(child)
    assert one.files == two.files
    assert one.digest != two.digest
    assert two.lineage[0].digest == one.digest
    for name in one.files:
        assert (child / name).samefile(Path(parent.path) / name)
    again = save_postprocessed(child.with_name("plain"), open_checkpoint(child), Postprocess(), {})
    assert again.digest == one.digest


def test_spans_below_a_threshold_are_left_out(tmp_path: Path) -> None:
    world = World(tmp_path, target="spans")
    ref = world.model("tuned")
    texts = list(world.dataset.splits["test"].texts[:30])
    plain = load(ref).predictor.spans(texts)
    scores = [s.score for spans in plain for s in spans]
    middle = float(np.median(scores))
    post = Postprocess(abstain_below=middle, label_map={"tech": "it"})
    found = load(save_postprocessed(tmp_path / "c", ref, post, {})).predictor.spans(texts)
    kept = [tuple(s for s in spans if s.score >= middle) for spans in plain]
    renamed = [
        tuple(Span(s.start, s.end, {"tech": "it"}.get(s.label, s.label)) for s in spans)
        for spans in kept
    ]
    assert [tuple(spans) for spans in found] == renamed
    # Words' tags at another temperature: the best legal sequence stays, its score doesn't.
    warmer = load(save_postprocessed(tmp_path / "w", ref, Postprocess(temperature=2.0), {}))
    said = warmer.predictor.spans(texts)
    assert said == plain
    assert [s.score for of in said for s in of] != pytest.approx(scores, rel=1e-3)
    rows = warmer.predictor.tag_log_probs(texts)
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-12)
