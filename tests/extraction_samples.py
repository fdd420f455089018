"""Annotated sentences of our own, and an encoder that fits in a hand, for all tests of extraction."""

from __future__ import annotations

import re
from pathlib import Path

from ironwok.events.annotations import AnnotatedText
from ironwok.events.schema import EntityType, EventType, RelationType, Role, Schema
from ironwok.results import Argument, Entity, Event, Relation, Span

SCHEMA = Schema(
    events=(
        EventType("收购", (Role("买方"), Role("标的"), Role("时间"), Role("阶段", ("完成", "筹划")))),
        EventType("起诉", (Role("原告"), Role("被告"))),
        EventType("停电", (Role("地点"), Role("程度", ("全部", "部分"))), trigger=False),
    ),
    entities=(EntityType("公司"), EntityType("时间")),
    relations=(RelationType("持有"), RelationType("位于")),
    name="samples",
)
_MARK = re.compile(r"\[(\w+):([^\[\]]+)\]")


def marked(line: str) -> tuple[str, dict[str, Span]]:
    """A text without its marks, and the span of every mark "[name:words]"."""
    text, spans, end = "", {}, 0
    for mark in _MARK.finditer(line):
        text += line[end : mark.start()]
        spans[mark[1]] = Span(len(text), len(text) + len(mark[2]), mark[2])
        text, end = text + mark[2], mark.end()
    return text + line[end:], spans


def event(kind: str, spans: dict[str, Span], trigger: str | None, values: dict[str, str], **roles: str) -> Event:
    """roles: role -> name of the mark that fills it."""
    where = None if trigger is None else spans[trigger]
    arguments = [Argument(role, spans[mark]) for role, mark in roles.items()]
    arguments += [Argument(role, where, value=value) for role, value in values.items()]
    return Event(kind, tuple(arguments), where)


def _purchase() -> AnnotatedText:
    text, s = marked("[a:云岭矿业]昨天[t:买下][b:江南茶厂]，[d:周三]正式公布。")
    return AnnotatedText(text, (event("收购", s, "t", {"阶段": "完成"}, 买方="a", 标的="b", 时间="d"),), id="1")


def _two_purchases() -> AnnotatedText:
    """Two events of one type that share the buyer; the target of one of them is the plaintiff of a third event."""
    text, s = marked("[a:海湾信托]先[t:买下][b:北山牧场]，又打算[u:收购][c:西河书店]；[b2:北山牧场]随后[v:起诉]了它。")
    events = (
        event("收购", s, "t", {"阶段": "完成"}, 买方="a", 标的="b"),
        event("收购", s, "u", {"阶段": "筹划"}, 买方="a", 标的="c"),
        event("起诉", s, "v", {}, 原告="b2", 被告="a"),
    )
    return AnnotatedText(text, events, id="2")


def _self_suit() -> AnnotatedText:
    """One span in two roles of one event, and a text without a trigger."""
    text, s = marked("[p:南桥镇]和东桥镇今晚停电，半数人家没有灯，[a:老周]把[a2:老周]自己[t:告]了。")
    events = (
        event("停电", s, None, {"程度": "部分"}, 地点="p"),
        event("起诉", s, "t", {}, 原告="a", 被告="a"),
    )
    return AnnotatedText(text, events, id="3")


def _nothing() -> AnnotatedText:
    return AnnotatedText("今天的天气很好，我们在河边散步。", id="4")


EVENTS = (_purchase(), _two_purchases(), _self_suit(), _nothing())


def _with_entities() -> tuple[AnnotatedText, ...]:
    lines = ("[a:云岭矿业]在[b:周三]开会。", "[a:江南茶厂]与[c:海湾信托]签约。", "没有名字的一句话。", "[b:去年]很冷。")
    kinds = {"a": "公司", "b": "时间", "c": "公司"}
    texts = []
    for line in lines:
        text, s = marked(line)
        texts.append(AnnotatedText(text, entities=tuple(Entity(kinds[name], span) for name, span in s.items())))
    return tuple(texts)


def _with_relations() -> tuple[AnnotatedText, ...]:
    lines = (
        ("[a:云岭矿业]持有[b:江南茶厂]的股份。", (("持有", "a", "b"),)),
        ("[b:江南茶厂]在[c:东桥镇]，由[a:海湾信托]持有。", (("位于", "b", "c"), ("持有", "a", "b"))),
        ("什么也没有说。", ()),
        ("[a:西河书店]位于[c:南桥镇]。", (("位于", "a", "c"),)),
    )
    texts = []
    for line, relations in lines:
        text, s = marked(line)
        texts.append(AnnotatedText(text, relations=tuple(Relation(p, s[a], s[b]) for p, a, b in relations)))
    return tuple(texts)


ENTITIES, RELATIONS = _with_entities(), _with_relations()
OF_TASK = {"events": EVENTS, "entities": ENTITIES, "relations": RELATIONS}


def save_encoder(folder: Path) -> Path:
    """A RoFormerV2 with random weights and the tokenizer of the samples."""
    import torch

    from ironwok.models import RoFormerV2Config, RoFormerV2Model
    from ironwok.text.tokenizer import train_tokenizer, wrap_tokenizer

    texts = [text.text for texts in OF_TASK.values() for text in texts]
    tokenizer = wrap_tokenizer(
        train_tokenizer(texts, vocab_size=400, min_frequency=1, largest_alphabet=390), model_max_length=128
    )
    torch.manual_seed(0)
    config = RoFormerV2Config(
        vocab_size=len(tokenizer),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
    )
    RoFormerV2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_jsonl(path: Path, texts: tuple[AnnotatedText, ...]) -> Path:
    from ironwok.events.formats import write_annotations

    write_annotations(texts, path, format="ironwok")
    return path


def quick_settings(**changes: object):
    """Settings with which a tiny encoder learns the samples by heart."""
    from ironwok.training.extraction.settings import TrainSettings

    chosen = {
        "learning_rate": 2e-3,
        "head_learning_rate": 5e-3,
        "min_steps": 60,
        "epochs": 1.0,
        "evaluate_every": 20,
        "patience": 0,
        "head_dropout": 0.0,
        "head_width": 16,
        "ema": 0.8,
        "max_tokens": 64,
        "precision": "fp32",
    }
    return TrainSettings(**(chosen | changes))  # pyright: ignore[reportArgumentType]


def train_tiny(folder: Path, task: str, encoder: Path, **changes: object):
    """Train on the samples of a task, judged by themselves. Returns the result of the run at ``folder``/run."""
    from ironwok.training.extraction.train import train_extraction

    folder.mkdir(parents=True, exist_ok=True)
    file = write_jsonl(folder / "samples.jsonl", OF_TASK[task])
    return train_extraction(
        task,
        train=file,
        dev=file,
        out=folder / "run",
        schema=SCHEMA,
        model=str(encoder),
        settings=quick_settings(**changes),
        curves=False,
    )
