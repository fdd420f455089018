from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification, BertModel

from ironwok.errors import (
    CheckpointError,
    InputError,
    MissingHeadError,
    ModelError,
    ModelNotFoundError,
    SelfCheckError,
    SelfCheckWarning,
    SlowWarning,
)
from ironwok.models import devices
from ironwok.zero_shot import (
    NSPScorer,
    PETScorer,
    ScorerOptions,
    ZeroShotClassifier,
    load_scorer,
    loading,
    registry,
    scorer_names,
)
from ironwok.zero_shot.loading import tokenizer_of

UNCHECKED = ScorerOptions(on_self_check="skip", device="cpu")


def test_models_load_by_folder(nsp_folder, mlm_folder, nsp_scorer, pet_scorer):
    from ironwok.zero_shot import Pair, Prompt

    pair = Pair("外面下雨了。", Prompt("", "天气", ""))
    loaded = load_scorer("nsp", str(nsp_folder), UNCHECKED)
    assert isinstance(loaded, NSPScorer)
    assert loaded.score([pair]) == pytest.approx(nsp_scorer.score([pair]), abs=1e-6)
    loaded = load_scorer("pet", str(mlm_folder), UNCHECKED)
    assert isinstance(loaded, PETScorer)
    assert loaded.score([pair]) == pytest.approx(pet_scorer.score([pair]), abs=1e-6)


def test_an_exported_model_is_asked_for_scores_and_for_nothing_else(nsp_folder, nsp_model, nsp_scorer, monkeypatch):
    from ironwok.zero_shot import Pair, Prompt

    def judge(**inputs):
        output = nsp_model(**inputs)
        return type(output)(logits=output.logits.flip(-1))

    monkeypatch.setattr(loading, "exported_encoder", lambda encoder: judge)
    pairs = [Pair("外面下雨了。", Prompt("", "天气", "")), Pair("今天下雪了。", Prompt("", "体育", ""))]
    wanted = nsp_scorer.score(pairs)
    exported = load_scorer("nsp", str(nsp_folder), UNCHECKED)
    assert exported.score(pairs) == pytest.approx(-wanted, abs=1e-6)
    assert exported.embed(["外面下雨了。"]) == pytest.approx(nsp_scorer.embed(["外面下雨了。"]), abs=1e-6)
    plain = load_scorer("nsp", str(nsp_folder), ScorerOptions(on_self_check="skip", device="cpu", onnx=False))
    assert plain.score(pairs) == pytest.approx(wanted, abs=1e-6)


def test_a_random_model_fails_the_self_check(nsp_folder):
    with pytest.warns(SelfCheckWarning, match="cannot tell consecutive sentences"):
        ZeroShotClassifier(str(nsp_folder), device="cpu")
    with pytest.raises(SelfCheckError):
        ZeroShotClassifier(str(nsp_folder), device="cpu", on_self_check="raise")


def test_missing_heads_are_named(bert_config, tokenizer, mlm_folder, nsp_folder, tmp_path):
    BertModel(bert_config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for scorer, folder in (("nsp", mlm_folder), ("pet", nsp_folder), ("nsp", tmp_path), ("pet", tmp_path)):
        with pytest.raises(MissingHeadError):
            load_scorer(scorer, str(folder), UNCHECKED)
    with pytest.raises(MissingHeadError, match="no classification head"):
        load_scorer("nli", str(tmp_path), UNCHECKED)


def test_a_tokenizer_that_is_missing_or_no_tokenizer_is_one_line(nsp_model, tokenizer, tmp_path):
    nsp_model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"has no tokenizer: put the tokenizer\.json") as missing:
        load_scorer("nsp", str(tmp_path), UNCHECKED)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a readable tokenizer") as damaged:
        load_scorer("nsp", str(tmp_path), UNCHECKED)
    for caught in (missing, damaged):
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_float16_on_a_processor_is_warned_of():
    with pytest.warns(SlowWarning, match="--dtype auto"):
        assert devices.pick_dtype("float16", torch.device("cpu")) == torch.float16


def test_inference_models_load_by_folder(bert_config, tokenizer, tmp_path):
    config = type(bert_config).from_dict({**bert_config.to_dict(), "num_labels": 2})
    config.id2label = {0: "contradiction", 1: "entailment"}
    config.label2id = {"contradiction": 0, "entailment": 1}
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    result = ZeroShotClassifier(str(tmp_path), scorer="nli", device="cpu")("外面下雨了。", ["天气", "足球"])
    assert isinstance(result, dict)
    assert sum(result["scores"]) == pytest.approx(1)


def test_roformer_v2_serves_nsp_and_pet(tokenizer, tmp_path):
    from ironwok.models import RoFormerV2Config, RoFormerV2ForPreTraining

    config = RoFormerV2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    torch.manual_seed(0)
    RoFormerV2ForPreTraining(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for scorer in ("nsp", "pet"):
        classifier = ZeroShotClassifier(str(tmp_path), scorer=scorer, device="cpu", on_self_check="skip")
        result = classifier.classify("外面下雨了。", labels="天气,足球,股票", calibrate=True)[0]
        assert sum(result.scores) == pytest.approx(1)
        assert len(set(result.scores)) == 3


def test_a_folder_with_only_a_vocabulary_gets_the_tokenizer_of_bert(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n天\n气\n", encoding="utf-8")
    loaded = tokenizer_of(str(tmp_path))
    assert loaded("天气")["input_ids"] == [2, 5, 6, 3]
    assert loaded.is_fast


def test_half_precision_moves_scores_only_a_little(nsp_folder, nsp_scorer):
    from ironwok.zero_shot import Pair, Prompt

    half = load_scorer("nsp", str(nsp_folder), ScorerOptions(device="cpu", dtype="bfloat16", on_self_check="skip"))
    assert isinstance(half, NSPScorer)
    assert half.model.dtype == torch.bfloat16
    pair = Pair("外面下雨了。", Prompt("", "天气", ""))
    assert half.score([pair]) == pytest.approx(nsp_scorer.score([pair]), abs=0.2)


@pytest.fixture
def unmeasured():
    """Forget what was measured of the processor, before and after."""
    devices._bfloat16_pays.cache_clear()
    yield
    devices._bfloat16_pays.cache_clear()


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("flags", "seconds", "expected"),
    [
        ("avx2 avx512_bf16", 0.5, torch.bfloat16),
        ("avx2 avx512_bf16", 0.9, torch.float32),  # what it gains is not worth the rounding
        ("avx2 avx512_bf16", 2.0, torch.float32),  # it has the instructions, and they are slow
        ("avx2 avx512f", 0.5, torch.float32),
    ],
)
def test_auto_takes_half_precision_only_where_the_processor_is_faster_in_it(
    flags, seconds, expected, tmp_path, monkeypatch
):
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"flags : fpu {flags}\n", encoding="utf-8")
    monkeypatch.setattr(devices, "_PROCESSOR", processor)
    monkeypatch.setattr(devices, "_seconds", lambda *_: [1.0, seconds])
    assert devices.pick_dtype("auto", torch.device("cpu")) == expected
    monkeypatch.setattr(devices, "_PROCESSOR", tmp_path / "nothing")
    assert devices.pick_dtype("auto", torch.device("cpu")) == torch.float32


def test_the_least_time_counts_but_for_the_first_one(monkeypatch):
    """Of two formats that take turns, by a clock that says how long each product took."""
    took = [1, 2, *(9, 4), *(5, 8), *(6, 7), *[5, 4] * (devices._TIMES - 3)]
    clock = iter([reading for seconds in took for reading in (0, seconds)])
    monkeypatch.setattr(devices, "perf_counter", lambda: next(clock))
    assert devices._seconds(torch.float32, torch.bfloat16) == [5, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"device": "toaster"}, "device is 'toaster'"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_options_that_do_not_exist_are_refused(nsp_folder, options, message):
    with pytest.raises(InputError, match=message):
        ZeroShotClassifier(str(nsp_folder), on_self_check="skip", **options)


def test_models_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(ModelNotFoundError):
        ZeroShotClassifier(str(tmp_path / "nowhere"))


class Constant:
    def __init__(self, model, options):
        self.model, self.options = model, options

    def score(self, pairs):
        return np.arange(len(pairs), dtype=float)


@pytest.fixture
def plugins(monkeypatch):
    found = EntryPoints(
        [
            EntryPoint("constant", f"{__name__}:Constant", registry.ENTRY_POINT_GROUP),
            EntryPoint("useless", "builtins:max", registry.ENTRY_POINT_GROUP),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))


def test_scorers_of_other_packages_are_found(plugins):
    assert scorer_names() == ("nsp", "pet", "nli", "associations", "constant", "useless")
    classifier = ZeroShotClassifier("their-model", scorer="constant", batch_size=7)
    assert classifier.classify("文本", labels="a,b")[0].label == "b"
    assert classifier.scorer.model == "their-model"
    assert classifier.scorer.options.batch_size == 7


def test_an_unknown_scorer_names_the_known_ones(plugins):
    with pytest.raises(InputError, match="no scorer 'magic'; there are nsp, pet, nli, associations, constant, useless"):
        ZeroShotClassifier(scorer="magic")


def test_a_plugin_that_is_no_scorer_is_refused(monkeypatch):
    broken = EntryPoints([EntryPoint("broken", f"{__name__}:not_a_scorer", registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: broken.select(group=group))
    with pytest.raises(ModelError, match="is a str without score"):
        load_scorer("broken", "any")


def not_a_scorer(model, options):
    return "nothing"
