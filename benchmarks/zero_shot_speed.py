"""Texts a second of ZeroShotClassifier beside the zero-shot pipeline of `transformers`, with the same encoder.

    python benchmarks/zero_shot_speed.py [--model ironwok-small] [--labels 10 100] [--texts 32] [--repetitions 3]

The pipeline needs a sequence classifier: it gets one with an inference head on the same encoder, so both do the same
work on the same pairs of text and label, in the same number format. Texts and labels are our own, of mixed lengths.
Ways of running take turns within a repetition, so that a machine that slows down slows all of them; ratios are taken
within a repetition; medians. The last rows read fewer pairs: a first cut of the labels. Prints a table, then one line
of JSON.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

from _table import finish, show
from ironwok.models.loading import quiet
from ironwok.zero_shot import NSPScorer, ZeroShotClassifier
from ironwok.zero_shot.loading import load_encoder

SENTENCES = (
    "新款手机明天发布，屏幕更大，电池也更耐用。",
    "昨晚的比赛打满了加时，主队靠最后一个三分球获胜。",
    "银行下调了存款利率，不少人开始考虑买国债。",
    "这家面馆的汤头熬了一整夜，排队的人从早到晚没断过。",
    "学校今年新开了编程课，报名的学生比去年多了一倍。",
    "医生提醒，换季时节要注意保暖，老人和孩子尤其容易感冒。",
    "博物馆展出了一批刚修复的古画，周末需要提前预约。",
    "山里的公路修通以后，果农的苹果当天就能运进城。",
    "导演说这部电影拍了三年，最难的是冬天在雪地里的那场戏。",
    "天文台观测到一颗新的小行星，它离地球最近时不会造成危险。",
    "公司公布了上半年的业绩，利润比去年同期增长了一成。",
    "航班因为大雾取消，旅客可以免费改签到第二天。",
)
_FIELDS = """
手机 篮球 银行 美食 教育 健康 文物 交通 电影 天文 股票 航空 足球 汽车 房产 旅游 军事 农业 游戏 音乐
舞蹈 绘画 摄影 天气 法律 保险 物流 电商 化妆品 服装 家具 家电 宠物 园艺 渔业 林业 矿业 钢铁 化工 电力
能源 环保 水利 建筑 桥梁 铁路 航运 航天 通信 软件 芯片 机器人 医药 疫苗 护理 养老 育儿 婚恋 心理 历史
哲学 文学 诗歌 戏剧 相声 武术 围棋 象棋 乒乓球 羽毛球 排球 网球 游泳 田径 滑雪 登山 骑行 钓鱼 露营 烹饪
烘焙 茶 咖啡 酒 水果 蔬菜 粮食 养殖 外交 选举 税务 就业 社保 户籍 慈善 志愿者 消防 治安 地震 洪水
"""
FIELDS = _FIELDS.split()


def our_texts(count: int, *, seed: int = 0) -> list[str]:
    """Texts of one to eight of our sentences."""
    chance = random.Random(seed)
    return ["".join(chance.choices(SENTENCES, k=chance.randint(1, 8))) + str(i) for i in range(count)]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ironwok-small", help="bundled name, folder or hub id with an NSP head")
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 100], help="how many labels (at most 100)")
    parser.add_argument("--texts", type=int, default=32, help="how many texts for 10 labels; fewer for more labels")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64, help="pairs in one pass, for all")
    parser.add_argument("--shortlist", type=int, default=10, help="labels left by the first cut")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    wrong = [count for count in options.labels if not 2 <= count <= len(FIELDS)]
    if wrong:
        parser.error(f"--labels {wrong[0]}: between 2 and {len(FIELDS)}")
    return options


def inference_pipeline(encoder: Any, tokenizer: Any, *, batch_size: int) -> Any:
    """The pipeline of `transformers` with a fresh inference head on a copy of the encoder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

    with tempfile.TemporaryDirectory() as folder, quiet():
        encoder.save_pretrained(folder)
        config = AutoConfig.from_pretrained(
            folder,
            num_labels=3,
            id2label={0: "contradiction", 1: "neutral", 2: "entailment"},
            label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
        )
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=encoder.dtype)
    if tokenizer.pad_token is None:
        raise SystemExit("the tokenizer has no padding token")
    device = torch.device("cpu")
    return pipeline(
        "zero-shot-classification", model=model.eval(), tokenizer=tokenizer, device=device, batch_size=batch_size
    )


def ways_to_run(options: argparse.Namespace) -> dict[str, Callable[[list[str], list[str]], Any]]:
    """Name of a way → function of texts and labels. The first is what the others are compared with."""
    encoder, tokenizer = load_encoder(options.model, head="nsp", device="cpu", dtype=options.dtype)
    theirs = inference_pipeline(encoder, tokenizer, batch_size=options.batch_size)
    one_by_one = inference_pipeline(encoder, tokenizer, batch_size=1)
    ours = ZeroShotClassifier(scorer=NSPScorer(encoder, tokenizer, batch_size=options.batch_size))  # pyright: ignore[reportArgumentType]
    template = "这是一则{}新闻"
    return {
        f"transformers pipeline, batch_size={options.batch_size}": lambda texts, labels: theirs(
            texts, candidate_labels=labels, hypothesis_template=template
        ),
        "transformers pipeline, as it comes (batch_size=1)": lambda texts, labels: one_by_one(
            texts, candidate_labels=labels, hypothesis_template=template
        ),
        "ironwok": lambda texts, labels: ours(texts, candidate_labels=labels, hypothesis_template=template),
        f"ironwok, shortlist={options.shortlist}": lambda texts, labels: ours.classify(
            texts, labels=labels, template=template, shortlist=options.shortlist
        ),
    }


def measure(options: argparse.Namespace) -> dict[int, dict[str, list[float]]]:
    """Seconds by number of labels and way of running, one figure a repetition."""
    ways = ways_to_run(options)
    seconds: dict[int, dict[str, list[float]]] = {}
    for count in options.labels:
        texts, labels = our_texts(texts_for(options, count)), FIELDS[:count]
        chosen = {name: way for name, way in ways.items() if "shortlist" not in name or count > options.shortlist}
        seconds[count] = {name: [] for name in chosen}
        for way in chosen.values():
            way(texts[:2], labels)
        for _ in range(options.repetitions):
            for name, way in chosen.items():
                start = time.perf_counter()
                way(texts, labels)
                seconds[count][name].append(time.perf_counter() - start)
            print(f"{count} labels: {[round(s[-1], 1) for s in seconds[count].values()]} s", file=sys.stderr)
    return seconds


def texts_for(options: argparse.Namespace, labels: int) -> int:
    """About as many pairs for every number of labels, four texts at least."""
    return max(4, options.texts * 10 // labels)


def main() -> None:
    options = parse()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = measure(options)
    line: dict[str, Any] = {"model": options.model, "dtype": options.dtype}
    rows = []
    for count, by_way in seconds.items():
        texts = texts_for(options, count)
        base = next(iter(by_way.values()))
        line[str(count)] = {}
        for name, own in by_way.items():
            speed = texts / statistics.median(own)
            ratio = statistics.median(b / s for b, s in zip(base, own, strict=True))
            rows.append([name, count, texts, f"{speed:.2f}", f"{speed * count:.0f}", f"{ratio:.1f}×"])
            line[str(count)][name] = {"texts_per_second": round(speed, 3), "ratio": round(ratio, 2)}
    columns = ["", "labels", "texts", "texts/s", "text-label pairs/s", "against the first row"]
    show(
        f"Zero-shot classification on a CPU, {options.model}, {options.dtype}, median of {options.repetitions}",
        columns,
        rows,
        notes=["pairs/s with a shortlist counts the pairs that were decided, not those that were read"],
    )
    finish(line)


if __name__ == "__main__":
    main()
