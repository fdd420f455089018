"""Every word of the page, in English and Chinese."""

from __future__ import annotations

from html import escape
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

# name -> English, Chinese; {} where a value stands
WORDS: dict[str, tuple[str, str]] = {
    "title": ("Read text that nobody has labelled", "读懂没有标注的文字"),
    "lead": (
        "Sort texts into labels of your own, compare sentences, find events, ask questions and see where each word of "
        "the answer comes from. All of it is done by this server.",
        "用自己定的标签给文本分类，比较句子，抽取事件，提问并看到回答的每个词出自哪里。全部由本服务器完成。",
    ),
    "classify": ("Classify", "分类"),
    "compare": ("Compare", "句对"),
    "fill": ("Fill in", "填空"),
    "extract": ("Extract", "抽取"),
    "answer": ("Answer", "问答"),
    "model": ("Model", "模型"),
    "texts": ("Texts, one a line", "文本，每行一条"),
    "labels": ("Labels, separated by commas", "标签，用逗号隔开"),
    "own_labels": ("Labels; empty: those of the model", "标签；留空则用模型自己的标签"),
    "more": ("More choices", "更多选项"),
    "template": ("Template; {} stands for the label", "模板，{} 处填标签"),
    "template_hint": ("empty: chosen by the labels", "留空则按标签自动选择"),
    "several": ("A text may have several labels", "一条文本可有多个标签"),
    "calibrate": ("Correct for what the model prefers anyway", "校正模型固有的偏好"),
    "threshold": ("Lowest score of a label", "标签的最低得分"),
    "firsts": ("First sentences, one a line", "第一句，每行一句"),
    "seconds": ("Second sentences, one a line", "第二句，每行一句"),
    "follows": (
        "Ask whether the second follows from the first, not whether both mean the same",
        "判断第二句能否由第一句推出，而不是两句意思是否相同",
    ),
    "blanks": ("Texts, one a line; the blank is written ____", "文本，每行一条，空格写作 ____"),
    "candidates": ("What may stand there, separated by commas", "候选词，用逗号隔开"),
    "text": ("Text", "文本"),
    "contexts": ("Texts to answer from, with a blank line between them", "供回答的文本，各段之间空一行"),
    "question": ("Question", "问题"),
    "length": ("Longest answer, in tokens", "回答最多几个词元"),
    "do_classify": ("Classify", "分类"),
    "do_compare": ("Compare", "比较"),
    "do_fill": ("Fill in", "填空"),
    "do_extract": ("Extract", "抽取"),
    "do_answer": ("Ask", "提问"),
    "stop": ("Stop", "停止"),
    "examples": ("Examples", "示例"),
    "no_label": ("no label is clear enough", "没有足够明确的标签"),
    "window": ("decided by", "依据"),
    "same": ("same", "相同"),
    "different": ("different", "不同"),
    "entailment": ("follows", "蕴含"),
    "neutral": ("open", "无关"),
    "contradiction": ("contradicts", "矛盾"),
    "scores": ("scores", "得分"),
    "trigger": ("trigger", "触发词"),
    "legend": ("roles", "角色"),
    "nothing": ("Nothing was found.", "没有找到。"),
    "found_events": ("Events: {}", "事件：{} 个"),
    "found_entities": ("Entities: {}", "实体：{} 个"),
    "found_relations": ("Relations: {}", "关系：{} 个"),
    "no_answer": ("(no answer)", "（没有回答）"),
    "reading": ("Reading …", "正在阅读……"),
    "origin": ("where each word comes from: ", "每个词的来源："),
    "source": ("Text {}", "文本 {}"),
    "place": ("characters {}–{}", "第 {}–{} 字"),
    "share": ("{} of the answer", "占回答的 {}"),
    "unsettled": ("The texts do not settle this.", "这些文本不足以确定答案。"),
    "unrelated": (
        "No text makes the question likelier: the answer may not be in them.",
        "没有哪段文字与问题有关，答案可能不在其中。",
    ),
    "tie": ("Several texts fit the question equally well.", "有几段文字与问题同样相符。"),
    "jumping": ("The answer keeps changing its source.", "回答的来源不断变换。"),
    "broken_off": ("Broken off at the longest length.", "达到最大长度，回答被截断。"),
    "refused": ("This was not done: ", "没有完成："),
    "queue_full": (
        "too many are waiting; try again in a moment.",
        "排队的请求太多，请稍后再试。",
    ),
    "timeout": ("it took too long; send less at once.", "用时过长，请减少内容再试。"),
    "shutting_down": ("the server is going down.", "服务器正在关闭。"),
    "bug": ("something went wrong inside the server.", "服务器内部出错。"),
}


def word(name: str, language: Language) -> str:
    """A word in one language. Raises KeyError for a name that is none."""
    english, chinese = WORDS[name]
    return chinese if language == "zh" else english


def both(name: str, *values: str) -> str:
    """HTML that shows the word in whatever language the page has, without asking the server again."""
    english, chinese = (escape(text.format(*values)) for text in WORDS[name])
    return f'<span lang="en">{english}</span><span lang="zh-CN">{chinese}</span>'
