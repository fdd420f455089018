"""Heads of their own: what they read, that they learn it, and that a run with them is as sound as one without."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny_corpus import tiny_recipe, write_corpus
from tiny_tasks import records, tiny_labelled, with_heads, write_tasks

from ironwok.errors import CheckpointError, DataError, MissingHeadError, RecipeError
from ironwok.models import (
    RoFormerV2ForMultipleChoice,
    RoFormerV2ForPreTraining,
    RoFormerV2ForQuestionAnswering,
    RoFormerV2ForSequenceClassification,
    RoFormerV2ForTokenClassification,
    RoFormerV2Model,
)
from ironwok.models.task_heads import TaskHead, TaskHeads, load_task_head, read_heads
from ironwok.training.corpus import TOKEN_BITS, Packer, build_store
from ironwok.training.files import Source
from ironwok.training.labelled import LabelledPool
from ironwok.training.masking import IGNORED
from ironwok.training.preparation import labelled_tasks, model_config, task_sampler
from ironwok.training.pretrain import pretrain
from ironwok.training.progress import Silent
from ironwok.training.task_batches import (
    TaskBatch,
    TaskJudge,
    TaskSampler,
    _judged,
    entity_spans,
    head_logits,
    head_loss,
)

TASKS = ("topic", "same", "choose", "mark", "find")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tasks(write_corpus(tmp_path_factory.mktemp("tasks")))


@pytest.fixture(scope="module")
def own_store(folder, tokenizer) -> Path:
    sources = [Source("plain", (folder / "plain.txt",)), Source("records", (folder / "records.jsonl",))]
    return build_store(sources, folder / "store", tokenizer=tokenizer, held_out=0.2).folder


@pytest.fixture
def run(folder, own_store, tmp_path):
    def start(out: str = "out", *, resume=False, initial=None, progress=None, **changes):
        return pretrain(
            tiny_recipe(**changes),
            data=folder,
            out=tmp_path / out,
            store=own_store,
            resume=resume,
            initial=initial,
            progress=progress,
        )

    return start


def sampler_of(folder: Path, tokenizer, **mixture) -> TaskSampler:
    made = task_sampler(tiny_recipe(**with_heads(**mixture)), folder, tokenizer, progress=Silent())
    assert made is not None
    return made


def text_of(tokenizer, ids) -> str:
    return tokenizer.decode(list(ids)).replace(" ", "").replace(",", "，")  # which the tokenizer makes narrow


# -- what they read --


@pytest.fixture(scope="module")
def batches(folder, tokenizer) -> dict[str, list[TaskBatch]]:
    """All records of each task, once."""
    sampler = sampler_of(folder, tokenizer)
    found: dict[str, list[TaskBatch]] = {name: [] for name in TASKS}
    for batch in sampler.dev_batches(1000):
        found[TASKS[batch.task]].append(batch)
    return found


def rows_of(tokenizer, batch: TaskBatch) -> list[str]:
    return [text_of(tokenizer, ids[real]) for ids, real in zip(batch.input_ids, batch.attention_mask, strict=True)]


def test_texts_and_pairs_come_with_their_class(batches, tokenizer):
    seen = [row for batch in batches["topic"] for row in zip(rows_of(tokenizer, batch), batch.targets, strict=True)]
    topics = ["茶", "棋", "海", "雪"]
    assert sorted(seen) == sorted((f"[CLS]{r['text']}[SEP]", topics.index(r["label"])) for r in records()["topic"])
    seen = [row for batch in batches["same"] for row in zip(rows_of(tokenizer, batch), batch.targets, strict=True)]
    # classes in the order of the recipe: positive first
    assert sorted(seen) == sorted(
        (f"[CLS]{r['a']}[SEP]{r['b']}[SEP]", ["1", "0"].index(r["label"])) for r in records()["same"]
    )


def test_segments_and_padding_are_marked(batches):
    for batch in (*batches["same"], *batches["topic"]):
        assert batch.input_ids.shape[1] % 16 == 0
        separators = (batch.input_ids == batch.input_ids[0, batch.attention_mask[0].sum() - 1]) & batch.attention_mask
        behind_the_first = (separators.cumsum(1) - separators > 0) & batch.attention_mask
        assert np.array_equal(batch.token_type_ids.astype(bool), behind_the_first)
        assert not batch.input_ids[~batch.attention_mask].any()  # 0 is padding here


def test_every_choice_is_a_row(batches, tokenizer):
    seen = set()
    for batch in batches["choose"]:
        rows = rows_of(tokenizer, batch)
        for own, right in zip(batch.choices, batch.targets, strict=True):
            seen.add((tuple(rows[row] for row in own), int(right)))
    assert seen == {
        (tuple(f"[CLS]{r['passage']}[SEP]{r['question']}{choice}[SEP]" for choice in r["choices"]), r["answer"])
        for r in records()["choose"]
    }


def test_answers_are_marked_by_their_first_and_last_token(batches, tokenizer):
    seen = [
        (text_of(tokenizer, ids[real]), text_of(tokenizer, ids[first : last + 1]))
        for batch in batches["mark"]
        for ids, real, (first, last) in zip(batch.input_ids, batch.attention_mask, batch.targets, strict=True)
    ]
    assert sorted(seen) == sorted(
        (f"[CLS]{r['question']}[SEP]{r['context']}[SEP]", r["answers"][0]["text"]) for r in records()["mark"]
    )


def test_a_long_context_is_cut_around_its_answer(tmp_path, tokenizer):
    words = [f"{word}和" for word in ("茶叶", "雪山", "渔船", "棋盘", "灯塔") for _ in range(12)]
    context = "".join(words)
    place = context.index("渔船")
    record = {"context": context, "question": "海浪", "answers": [{"text": "渔船", "start": place}]}
    (tmp_path / "mark.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    recipe = tiny_recipe(
        labelled=[{**tiny_labelled(cast=False)[3], "dev": []}],
        pairs={"kinds": {"next": 1.0}},
        mixture={"tokens": 64, "longest": 32},
    )
    sampler = task_sampler(recipe, tmp_path, tokenizer, progress=Silent())
    starts = set()
    for step in range(30):
        (batch,) = sampler.draw(step)
        for ids, real, (first, last) in zip(batch.input_ids, batch.attention_mask, batch.targets, strict=True):
            assert text_of(tokenizer, ids[first : last + 1]) == "渔船"
            assert real.sum() <= 32
            starts.add(int(first))
    assert len(starts) > 5


def test_entities_are_labelled_token_by_token(batches, tokenizer):
    seen = []
    for batch in batches["find"]:
        for ids, real, labels in zip(batch.input_ids, batch.attention_mask, batch.targets, strict=True):
            assert (labels[~real] == IGNORED).all()
            assert labels[0] == labels[real.sum() - 1] == IGNORED
            spans = entity_spans([max(int(label), 0) for label in labels])
            found = {(("thing", "time")[kind], text_of(tokenizer, ids[begin:end])) for kind, begin, end in spans}
            seen.append((text_of(tokenizer, ids[real]), sorted(found)))
    wanted = [
        (f"[CLS]{r['text']}[SEP]", sorted((e["type"], r["text"][e["start"] : e["end"]]) for e in r["entities"]))
        for r in records()["find"]
    ]
    assert sorted(seen) == sorted(wanted)


def test_a_batch_keeps_to_its_tokens_and_hangs_on_step_and_process_alone(folder, tokenizer):
    one, two = (sampler_of(folder, tokenizer, tokens=200, longest=32) for _ in range(2))
    tasks = set()
    for step in range(40):
        first, again = one.draw(step, count=2), two.draw(step, count=2)
        assert [batch.task for batch in first] == [batch.task for batch in one.draw(step, rank=1, count=2)]
        assert len({batch.task for batch in first}) == 2
        for batch, same in zip(first, again, strict=True):
            tasks.add(batch.task)
            assert batch.input_ids.size <= 200
            assert batch.input_ids.tobytes() == same.input_ids.tobytes()
    assert tasks == set(range(5))
    assert len(one.draw(0, count=9)) == 5


def test_rows_are_cut_to_the_longest(folder, tokenizer):
    sampler = sampler_of(folder, tokenizer, tokens=64, longest=12)
    for batch in (batch for step in range(30) for batch in sampler.draw(step, count=5)):
        assert batch.attention_mask.sum(1).max() <= 12
        if TASKS[batch.task] == "mark":
            assert (batch.targets < 12).all()


# -- as pairs for the next-sentence head --


def drawn(folder, tokenizer, name: str, *, follows: bool) -> set[tuple[str, str]]:
    tasks = [task for task in labelled_tasks(tiny_recipe(**with_heads()), folder) if task.name == name]
    pool, generator = LabelledPool(tasks, Packer(tokenizer)), np.random.default_rng(0)
    pairs = [pool.draw(generator, follows=follows, total=100) for _ in range(300)]
    return {tuple(text_of(tokenizer, (part & TOKEN_BITS)) for part in pair) for pair in pairs if pair is not None}


def test_a_question_fits_the_context_that_answers_it(folder, tokenizer):
    texts = {}
    for record in records()["mark"]:
        texts.setdefault(record["question"], set()).add(record["context"])
    for question, piece in drawn(folder, tokenizer, "mark", follows=True):
        assert any(context.endswith(piece) for context in texts[question])
    wrong = drawn(folder, tokenizer, "mark", follows=False)
    assert (
        sum(any(context.endswith(piece) for context in texts[question]) for question, piece in wrong) < len(wrong) / 4
    )


def test_a_type_is_in_the_text_or_not(folder, tokenizer):
    held = {r["text"]: {e["type"] for e in r["entities"]} for r in records()["find"]}
    phrases = {"春雨": "thing", "清早": "time"}
    for prompt, text in drawn(folder, tokenizer, "find", follows=True):
        assert phrases[prompt] in held[text]
    wrong = drawn(folder, tokenizer, "find", follows=False)
    assert {prompt for prompt, _ in wrong} == {"清早"}  # all texts hold a thing
    assert all("time" not in held[text] for _, text in wrong)


# -- what they are judged by --


def test_spans_by_hand():
    assert entity_spans([0, 1, 2, 0, 3, 3, 4]) == {(0, 1, 3), (1, 4, 5), (1, 5, 7)}
    assert entity_spans([2, 2, 4, 1]) == {(0, 0, 2), (1, 2, 3), (0, 3, 4)}  # what nothing began begins
    assert entity_spans([]) == set()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2)), max_size=6))
def test_spans_come_back_from_their_labels(plan):
    labels, spans = [], set()
    for kind, length, gap in plan:
        labels += [0] * gap
        spans.add((kind, len(labels), len(labels) + length))
        labels += [2 * kind + 1] + [2 * kind + 2] * (length - 1)
    assert entity_spans(labels) == spans


def one_hot(wanted, classes: int) -> np.ndarray:
    return np.eye(classes)[np.asarray(wanted)]


def test_what_counts_as_right():
    blank = np.zeros((2, 4), dtype=np.int64)
    answers = TaskBatch(0, blank, blank, blank.astype(bool), np.array([[1, 2], [0, 3]]))
    assert _judged(TaskHead("a", "reading"), answers, one_hot([[1, 2], [0, 2]], 4)) == (1, 2, 2)
    classes = TaskBatch(0, blank, blank, blank.astype(bool), np.array([1, 0]))
    assert _judged(TaskHead("a", "single", ("x", "y")), classes, one_hot([1, 1], 2)) == (1, 2, 2)
    labels = np.array([[IGNORED, 1, 2, IGNORED], [IGNORED, 0, 1, IGNORED]])
    found = TaskBatch(0, blank, blank, blank.astype(bool), labels)
    # the first span too short, the second right, a third invented
    said = one_hot([[0, 1, 0, 0], [0, 1, 1, 0]], 3)
    assert _judged(TaskHead("a", "entities", ("O", "B-t", "I-t")), found, said) == (1, 3, 2)


def test_heads_learn_what_they_read(folder, tokenizer):
    torch.manual_seed(0)
    sampler = sampler_of(folder, tokenizer, tokens=1024, longest=32)
    config = model_config(tiny_recipe(model={"pooling": "segments", "hidden_size": 64}), tokenizer)
    encoder, heads = RoFormerV2Model(config), TaskHeads(sampler.heads, config)
    judge = TaskJudge(sampler, most=1000)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=3e-3)
    before = judge.evaluate(encoder, heads)
    for step in range(70):
        torch.stack(
            [head_loss(head_logits(encoder, heads, own), own) for own in sampler.draw(step, count=5)]
        ).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = judge.evaluate(encoder, heads)
    assert set(after) == {f"head_{name}" for name in TASKS}
    assert min(after.values()) > 0.9, after
    assert max(before.values()) < 0.8


# -- as a part of a run --


class StopAt(Silent):
    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, step, *, total, tokens_per_second, metrics):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def lines_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("method", "shared", "tasks"),
    [("sum", "states", 1), ("inverse_norm", "states", 2), ("min_norm", "last_block", 1)],
)
def test_a_run_with_heads_in_parts_is_the_run_in_one(run, tmp_path, method, shared, tasks):
    changes = with_heads(method=method, shared=shared, tasks=tasks)
    whole = run("whole", **changes)
    assert not run("parts", progress=StopAt(5), **changes).finished
    assert run("parts", resume=True, **changes).finished
    for file in ("metrics.jsonl", "model/heads.safetensors", "model/model.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes(), file

    assert {name for name in whole.metrics if name.startswith("head_")} == {f"head_{name}" for name in TASKS}
    for line in lines_of(tmp_path / "whole"):
        weights = {name: value for name, value in line.items() if name.startswith("weight_")}
        if "loss" not in line:
            continue
        assert set(weights) >= {"weight_mlm", "weight_nsp"}
        assert len(weights) == 2 + tasks
        # masked words 1, next sentence 2, each head 1
        assert sum(weights.values()) == pytest.approx(3 + tasks, abs=1e-4)
        assert (weights["weight_nsp"] == 2.0) == (method == "sum")


def test_inverse_norms_are_what_a_step_is_made_of(run, tmp_path):
    """The weights of masked words and next sentences are those of their gradients, without any head, too."""
    run("plain", optimizer={"steps": 2})
    run("mixed", optimizer={"steps": 2}, mixture={"method": "inverse_norm"})
    plain, mixed = lines_of(tmp_path / "plain"), lines_of(tmp_path / "mixed")
    assert "weight_mlm" not in plain[0]
    assert mixed[0]["loss"] == plain[0]["loss"]  # the same unit, whatever the weights are
    assert mixed[0]["weight_mlm"] + mixed[0]["weight_nsp"] == pytest.approx(3.0, abs=1e-5)
    assert mixed[1]["mlm_loss"] != plain[1]["mlm_loss"]


def test_a_model_with_heads_loads_with_and_without_them(run, folder, tokenizer, tmp_path):
    result = run(**with_heads())
    _, loading = RoFormerV2ForPreTraining.from_pretrained(str(result.folder), output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    config = model_config(tiny_recipe(), tokenizer)
    encoder, heads = (
        RoFormerV2Model.from_pretrained(result.folder).eval(),
        TaskHeads(read_heads(result.folder)[0], config),
    )
    assert heads.load(result.folder) == []
    heads.eval()
    classes = {
        "topic": RoFormerV2ForSequenceClassification,
        "same": RoFormerV2ForSequenceClassification,
        "choose": RoFormerV2ForMultipleChoice,
        "mark": RoFormerV2ForQuestionAnswering,
        "find": RoFormerV2ForTokenClassification,
    }
    sampler = sampler_of(folder, tokenizer)
    with torch.no_grad():
        for batch in sampler.draw(0, count=5):
            name = TASKS[batch.task]
            model = load_task_head(result.folder, name)
            assert type(model) is classes[name]
            inputs, expected = batch.inputs("cpu"), head_logits(encoder, heads, batch)
            if name == "choose":
                inputs = {key: value[torch.from_numpy(batch.choices)] for key, value in inputs.items()}
            output = model(**inputs)
            real = torch.from_numpy(batch.attention_mask)
            if name == "mark":
                given, expected = (
                    torch.stack([output.start_logits, output.end_logits])[:, real],
                    expected.transpose(0, 1)[:, real],
                )
            else:
                given = output.logits
            assert torch.allclose(given, expected, atol=1e-5), name
    assert load_task_head(result.folder, "topic").config.id2label == {0: "茶", 1: "棋", 2: "海", 3: "雪"}
    with pytest.raises(MissingHeadError, match="no head for 'other'; it has topic, same"):
        load_task_head(result.folder, "other")
    with pytest.raises(MissingHeadError, match=r"no heads\.json"):
        load_task_head("ironwok-small", "topic")


def test_a_run_takes_over_the_heads_that_it_knows(run, tmp_path):
    first = run("first", **with_heads())
    fewer = with_heads()
    fewer["labelled"] = [
        {**task, "positive": ["0"], "negative": ["1"]} if task["name"] == "same" else task for task in fewer["labelled"]
    ]
    still = {"steps": 1, "muon_lr": 1e-12, "adamw_lr": 1e-12}
    second = run("second", initial=str(first.folder), optimizer=still, **fewer)
    (_, before), (_, after) = read_heads(first.folder), read_heads(second.folder)
    same = {name for name in before if torch.allclose(before[name], after[name], atol=1e-6)}
    # classes in another order are other classes
    assert set(before) - same == {"same.weight", "same.bias"}


def test_heads_that_are_damaged_or_missing_are_told_of(run, tmp_path):
    result = run(optimizer={"steps": 1}, **with_heads())
    folder = shutil.copytree(result.folder, tmp_path / "copy")
    facts = json.loads((folder / "heads.json").read_text())
    facts[0]["labels"].append("more")
    (folder / "heads.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"topic\.weight do not have as many rows"):
        read_heads(folder)
    (folder / "heads.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_heads(folder)


def test_another_mixture_does_not_continue_a_run(run, tmp_path):
    run()
    with pytest.raises(CheckpointError, match=r"mixture\.method was sum, is inverse_norm"):
        run(resume=True, mixture={"method": "inverse_norm"})
    for path in (tmp_path / "out").glob("step-*/state.json"):  # as before there were mixtures
        state = json.loads(path.read_text())
        recipe, identity = json.loads(state["fingerprint"])
        del recipe["mixture"]
        path.write_text(json.dumps({**state, "fingerprint": json.dumps([recipe, identity])}))
    with pytest.raises(CheckpointError, match=r"mixture\.method was sum, is inverse_norm"):
        run(resume=True, mixture={"method": "inverse_norm"})
    assert run(resume=True, optimizer={"steps": 9}).step == 9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cast": False, "heads": False, "dev": []}, "nothing is learnt from it"),
        ({"heads": False}, "dev files judge a head"),
        ({"name": "one"}, "named twice: one"),
    ],
)
def test_sets_with_heads_are_checked(changes, said):
    with pytest.raises(ValidationError, match=said):
        tiny_recipe(**{**with_heads(), "labelled": tiny_labelled(**changes)})


def test_forms_need_their_fields():
    mark, find = tiny_labelled()[3:]
    for task, said in (
        ({**mark, "fields": ["context"]}, "form reading takes 3 fields"),
        ({**find, "labels": {}}, "form entities needs labels"),
    ):
        with pytest.raises(ValidationError, match=said):
            tiny_recipe(**{**with_heads(), "labelled": [task]})
    with pytest.raises(ValidationError, match=r"mixture\.longest is 48, beyond mixture\.tokens \(32\)"):
        tiny_recipe(**with_heads(tokens=32))


def test_heads_alone_need_no_pairs(folder, tokenizer):
    recipe = tiny_recipe(labelled=tiny_labelled(cast=False))
    assert task_sampler(recipe, folder, tokenizer, progress=Silent()) is not None
    with pytest.raises(ValidationError, match="no labelled set is given"):
        tiny_recipe(labelled=tiny_labelled(cast=False), pairs={"kinds": {"labelled": 1.0}})


def test_rows_longer_than_the_model_are_refused(tokenizer):
    with pytest.raises(RecipeError, match=r"mixture\.longest is 256, the model takes 128"):
        model_config(tiny_recipe(**with_heads(tokens=256, longest=256)), tokenizer)


def test_files_that_are_not_there_are_named(folder, tokenizer):
    recipe = tiny_recipe(**{**with_heads(), "labelled": tiny_labelled(dev=["none.jsonl"])})
    with pytest.raises(DataError, match=r"dev files of topic: nothing in .* matches none\.jsonl"):
        task_sampler(recipe, folder, tokenizer, progress=Silent())


@pytest.mark.parametrize(
    ("number", "record"),
    [
        (3, {"context": "茶", "question": "茶", "answers": [{"text": "茶"}]}),
        (3, {"context": "茶", "question": "茶", "answers": "茶"}),
        (4, {"text": "茶", "entities": [{"type": "thing", "start": 0}]}),
        (4, {"text": "茶", "entities": ["茶"]}),
    ],
)
def test_broken_records_are_named(tmp_path, tokenizer, number, record):
    task = tiny_labelled()[number]
    (tmp_path / task["files"][0]).write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    recipe = tiny_recipe(**{**with_heads(), "labelled": [task]})
    with pytest.raises(DataError, match=r"jsonl:1: task .*: missing or wrong field"):
        task_sampler(recipe, tmp_path, tokenizer, progress=Silent())
