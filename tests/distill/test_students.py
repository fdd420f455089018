"""Students: the interface of the classifier, the one of scikit-learn, and what lies on the disk."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from keyword_teacher import LABELS, has_word

from ironwok.distill import HashedTextClassifier
from ironwok.errors import CheckpointError, DataError, InputError, LabelError
from ironwok.students import EncoderStudent, NgramStudent, is_student, load_classifier, load_student
from ironwok.students.encoder import load_embedder
from ironwok.zero_shot import ZeroShotClassifier

THREE = ["体育", "财经", "天气"]


@pytest.fixture(scope="module")
def targets(texts):
    return ["体育" if has_word(text, "体育") else "财经" for text in texts]


@pytest.fixture(scope="module")
def estimator(texts, targets):
    return HashedTextClassifier().fit([*texts, "明天有雨。", "下周降温。"], [*targets, "天气", "天气"])


@pytest.fixture(scope="module")
def student(estimator):
    return estimator.student_


def test_it_answers_as_the_classifier_does(student):
    good, money = student.classify(["主队今晚赢了比赛。", "央行今晚下调利率。"], labels=THREE)
    assert (good.label, money.label) == ("体育", "财经")
    assert good.text == "主队今晚赢了比赛。"
    assert sum(good.scores) == pytest.approx(1)
    assert set(good.labels) == set(THREE)
    assert student.classify("主队今晚赢了比赛。")[0] == good


def test_some_of_the_labels_share_the_probability(student):
    (every,) = student.classify(["明天有雨，央行下调利率。"])
    (two,) = student.classify(["明天有雨，央行下调利率。"], labels={"财经": "金融", "天气": None})
    of = dict(zip(every.labels, every.scores, strict=True))
    assert dict(zip(two.labels, two.scores, strict=True))["财经"] == pytest.approx(
        of["财经"] / (of["财经"] + of["天气"])
    )
    (cut,) = student.classify(["明天有雨。"], shortlist=2)
    assert len(cut.labels) == 2
    assert sum(cut.scores) == pytest.approx(1)


def test_labels_for_each_text(student):
    results = student.classify(["主队赢了比赛。", "主队赢了比赛。"], labels=[["体育", "天气"], ["财经", "天气"]])
    assert [set(result.labels) for result in results] == [{"体育", "天气"}, {"财经", "天气"}]
    with pytest.raises(InputError, match="one set a text"):
        student.classify(["主队赢了。"], labels=[["体育", "天气"], ["财经", "天气"]])
    with pytest.raises(InputError, match="one set a text"):
        student.classify(["主队赢了。", "主队赢了。"], labels=[["体育", "天气"]])


def test_it_abstains_under_the_threshold(student):
    (unsure,) = student.classify(["ξψζ"], threshold=0.9)
    assert unsure.abstained
    assert unsure.label is None
    with pytest.raises(InputError, match="between 0 and 1"):
        student.classify(["主队"], threshold=2)


def test_what_it_was_not_taught_is_refused(student):
    with pytest.raises(LabelError, match=r"'军事': it was taught 体育, 天气, 财经"):
        student.classify(["主队"], labels=["体育", "军事"])
    for wrong in ({"multi_label": True}, {"protocol": "sc"}, {"prior": [0.5, 0.5]}, {"shortlist": 1}):
        with pytest.raises(InputError):
            student.classify(["主队"], **wrong)
    with pytest.raises(InputError, match="blank"):
        student.classify(["主队", " "])


def test_the_call_of_the_pipeline(student):
    answer = student("主队赢了比赛。", candidate_labels="体育, 财经", hypothesis_template="关于{}")
    assert answer["sequence"] == "主队赢了比赛。"
    assert answer["labels"] == ["体育", "财经"]
    assert isinstance(student(["主队赢了比赛。"]), list)


def test_a_stream_is_answered_while_it_pauses(student):
    asked = []

    class Slow:
        def __iter__(self):
            return self

        def __next__(self):
            if len(asked) == 3:
                raise StopIteration
            asked.append(1)
            return "主队赢了比赛。"

        def pauses(self):
            return True

    seen = []
    for result in student.classify_iter(Slow(), labels=THREE):
        seen.append((result.label, len(asked)))
    assert seen == [("体育", 1), ("体育", 2), ("体育", 3)]


def test_the_cost_counts_a_reading_a_text(student):
    ticks = iter([0.0, 2.0])
    cost = student.estimate_cost(["主队赢了", "央行"] * 200, labels=THREE, clock=lambda: next(ticks))
    assert (cost.texts, cost.labels, cost.pairs) == (400, 3, 400)
    assert cost.seconds == pytest.approx(2.0 * 400 / 256)


def test_saved_and_loaded_it_says_the_same(student, tmp_path, texts):
    student.save(tmp_path / "s")
    again = load_student(tmp_path / "s")
    assert isinstance(again, NgramStudent)
    assert again.labels == student.labels
    before, after = student.predict_proba(texts), again.predict_proba(texts)
    assert np.abs(before - after).max() < 0.02  # weights in 8 bits
    assert (before.argmax(1) == after.argmax(1)).all()
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"student.json", "student.npz"}
    estimator = HashedTextClassifier.load(tmp_path / "s")
    assert estimator.predict(texts[:5]).tolist() == again.predict(texts[:5]).tolist()


def test_it_is_found_by_its_folder(student, tmp_path, encoder_folder):
    student.save(tmp_path)
    assert is_student(tmp_path)
    assert not is_student("ironwok-small")
    assert isinstance(load_classifier(str(tmp_path)), NgramStudent)
    with pytest.warns(UserWarning, match="self-check|tell"):
        assert isinstance(load_classifier(str(encoder_folder)), ZeroShotClassifier)


def test_it_answers_without_torch_and_scikit_learn(student, tmp_path):
    student.save(tmp_path)
    script = (
        "import sys\nfor name in ('torch', 'transformers', 'sklearn', 'tokenizers'): sys.modules[name] = None\n"
        "from ironwok.students import load_classifier\n"
        f"print(load_classifier({str(tmp_path)!r}).classify(['主队赢了比赛。'])[0].label == '体育')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8")
    assert run.stdout.strip() == "True", run.stderr


@pytest.mark.parametrize("damage", ["torn weights", "no weights", "no json", "other format", "other kind", "labels"])
def test_a_damaged_folder_is_refused(student, tmp_path, damage):
    student.save(tmp_path)
    weights, about = tmp_path / "student.npz", tmp_path / "student.json"
    description = json.loads(about.read_text())
    if damage == "torn weights":
        weights.write_bytes(weights.read_bytes()[:200])
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no json":
        about.write_text("{")
    else:
        change = {"other format": {"format": 99}, "other kind": {"kind": "oak"}, "labels": {"labels": ["a", "b"]}}
        about.write_text(json.dumps(description | change[damage]))
    with pytest.raises(CheckpointError, match="student"):
        load_student(tmp_path)


def test_pickled_weights_are_not_opened(student, tmp_path):
    student.save(tmp_path)
    np.savez(tmp_path / "student.npz", buckets=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError):
        load_student(tmp_path)


def test_the_student_with_an_encoder_is_its_vectors_and_a_layer(encoder_folder, tmp_path, texts):
    embedder = load_embedder(str(encoder_folder))
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(32, 2)).astype(np.float32), np.array([0.1, -0.1], np.float32)
    student = EncoderStudent(LABELS, embedder=embedder, model=str(encoder_folder), weights=weights, bias=bias)
    expected = embedder.embed(texts[:6]) @ weights + bias
    assert student.decision_function(texts[:6]) == pytest.approx(expected.astype(float), abs=1e-5)
    student.save(tmp_path)
    again = load_student(tmp_path)
    assert isinstance(again, EncoderStudent)
    assert again.predict_proba(texts[:6]) == pytest.approx(student.predict_proba(texts[:6]), abs=1e-5)
    about = json.loads((tmp_path / "student.json").read_text())
    (tmp_path / "student.json").write_text(json.dumps(about | {"model_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="distil it again"):
        load_student(tmp_path)


def test_the_projector_at_home_is_run_by_a_student_of_ones_own(tmp_path):
    from ironwok.home.actions import Action
    from ironwok.home.config import HomeConfig
    from ironwok.home.understanding.understand import LABELS as ACTIONS
    from ironwok.home.understanding.understand import ClassifierUnderstander, make_understander

    said = {Action.HOME: "去最开始那一页", Action.MENU: "翻出那个设置表"}
    sentences = [(words, action) for action, words in ACTIONS.items()] + [(words, a) for a, words in said.items()]
    texts, actions = zip(*(sentences * 3), strict=True)
    HashedTextClassifier(strength=300.0).fit(texts, [str(action) for action in actions]).save(tmp_path / "mine")
    config = HomeConfig.model_validate({"understanding": {"engine": "classifier", "model": str(tmp_path / "mine")}})
    understander = make_understander(config)
    assert isinstance(understander, ClassifierUnderstander)
    for action, words in said.items():
        understood = understander.understand(words)
        assert understood.command is not None, understood.reason
        assert understood.command.action == action
    assert understander.understand("关掉空调").command is None


# scikit-learn


def test_what_check_estimator_asks_of_any_estimator(texts, targets):
    from sklearn.utils import estimator_checks as checks

    name = "HashedTextClassifier"
    for check in (
        checks.check_estimator_cloneable,
        checks.check_estimator_repr,
        checks.check_valid_tag_types,
        checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible,
        checks.check_get_params_invariance,
        checks.check_set_params,
        checks.check_mixin_order,
    ):
        check(name, HashedTextClassifier())


def test_it_goes_through_the_tools_of_scikit_learn(texts, targets):
    from sklearn.base import clone, is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline

    assert is_classifier(HashedTextClassifier())
    with pytest.raises(NotFittedError):
        HashedTextClassifier().predict(texts)
    assert cross_val_score(HashedTextClassifier(), texts, targets, cv=3).mean() > 0.95
    search = GridSearchCV(make_pipeline(HashedTextClassifier()), {"hashedtextclassifier__longest": [1, 2]}, cv=2)
    search.fit(texts, targets)
    assert search.score(texts, targets) > 0.95
    assert clone(search.best_estimator_[0]).longest == search.best_params_["hashedtextclassifier__longest"]


def test_classes_keep_their_type_and_two_have_one_score(texts, targets):
    numbers = np.array([label == "财经" for label in targets]).astype(int) + 7
    fitted = HashedTextClassifier().fit(texts, numbers)
    assert fitted.classes_.tolist() == [7, 8]
    assert (fitted.predict(texts) == numbers).mean() > 0.99
    scores = fitted.decision_function(texts)
    assert scores.shape == (len(texts),)
    probabilities = fitted.predict_proba(texts)
    assert probabilities[:, 1] == pytest.approx(1 / (1 + np.exp(-scores)))


def test_two_classes_get_what_logistic_regression_says(texts, targets):
    from sklearn.linear_model import LogisticRegression

    fitted = HashedTextClassifier(strength=2.0).fit(texts, targets)
    rows = fitted.student_.features.transform(texts)
    plain = LogisticRegression(C=2.0, max_iter=300).fit(rows, targets)
    assert fitted.predict_proba(texts) == pytest.approx(plain.predict_proba(rows), abs=1e-4)


def test_weights_of_texts_count(texts, targets):
    only = np.array([1.0 if label == "体育" else 1e-6 for label in targets])
    fitted = HashedTextClassifier().fit(texts, targets, sample_weight=only)
    assert fitted.predict_proba(["ξψζ"])[0, 0] > 0.9


def test_what_cannot_be_fitted_is_refused(texts):
    with pytest.raises(InputError, match="not a text"):
        HashedTextClassifier().fit([1, 2], ["a", "b"])
    with pytest.raises(InputError, match="one a text"):
        HashedTextClassifier().fit(["甲", "乙"], ["a"])
    with pytest.raises((DataError, LabelError)):
        HashedTextClassifier().fit(["甲", "乙"], ["a", "a"])
    for strength in (-1, 0, "a", float("nan")):
        with pytest.raises(InputError, match=r"strength is .*above 0"):
            HashedTextClassifier(strength=strength).fit(["甲", "乙"], ["a", "b"])
