"""Sort sentences into labels that no model was trained on: python examples/classify_texts.py"""

from __future__ import annotations

from ironwok import ZeroShotClassifier

NEWS = [
    "主队在加时赛中连进两球，以三比一战胜卫冕冠军，挺进决赛。",
    "央行宣布下调存款准备金率，预计向市场释放约一万亿元资金。",
    "新款手机换上了自研芯片，断网时也能翻译六种语言。",
    "强冷空气今夜抵达，明天气温将下降十度，山区有小雪。",
]
REVIEWS = ["房间干净，老板热情，下次还来。", "用了三天就坏了，客服一直不理人。"]


def main() -> None:
    classifier = ZeroShotClassifier()

    # the template is a sentence that could stand before such a text
    for result in classifier.classify(NEWS, labels=["体育", "财经", "科技", "天气"], template="这是一则{}新闻。"):
        print(f"{result.label}\t{result.score:.2f}\t{result.text}")

    # a label may stand for other words in the prompt
    for result in classifier.classify(REVIEWS, labels={"好评": "很满意，值得推荐", "差评": "很失望，不推荐"}):
        print(f"{result.label}\t{result.score:.2f}\t{result.text}")

    # the call that programs for the zero-shot pipeline of transformers already make
    answer = classifier(NEWS[0], candidate_labels=["体育", "财经"], hypothesis_template="这是一则{}新闻。")
    print(answer["labels"][0])


if __name__ == "__main__":
    main()
