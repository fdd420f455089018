"""Which column or key of a record holds its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# In order of preference; compared without case, spaces, underscores and hyphens.
_TEXT_NAMES = (
    *("text", "正文", "文本", "content", "内容", "內容", "全文", "body", "fulltext", "rawtext", "contenttext"),
    *(
        "article",
        "文章",
        "document",
        "doc",
        "passage",
        "段落",
        "context",
        "上下文",
        "sentence",
        "句子",
        "review",
        "评论",
        "評論",
        "评论内容",
    ),
    *("comment", "留言", "message", "消息", "post", "微博", "微博正文", "微博内容", "新闻内容", "新闻", "news"),
    *("description", "描述", "简介", "摘要", "abstract", "summary", "utterance", "query", "问题", "question", "data"),
)
_TITLE_NAMES = ("title", "标题", "標題", "题目", "題目", "headline", "主题", "主題", "subject", "name", "名称")

SAMPLED_RECORDS = 50


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def is_known_name(name: str) -> bool:
    """Whether this is a usual name of a text or title field: a first row with one in it is a header."""
    return _plain(name) in _TEXT_NAMES or _plain(name) in _TITLE_NAMES


def text_name(names: Sequence[str], records: Iterable[Mapping[str, object]]) -> str | None:
    """The field to read: the likeliest name, else the longest text on average; None if no field holds text.

    records: some of them, to measure.
    """
    by_name = {_plain(name): name for name in reversed(names)}
    for known in _TEXT_NAMES:
        if known in by_name:
            return by_name[known]
    lengths = dict.fromkeys(names, 0)
    for record in records:
        for name in names:
            value = record.get(name)
            if isinstance(value, str):
                lengths[name] += len(value)
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    return longest if longest is not None and lengths[longest] else None


def title_name(names: Sequence[str], *, other_than: str | None) -> str | None:
    by_name = {_plain(name): name for name in reversed(names) if name != other_than}
    return next((by_name[known] for known in _TITLE_NAMES if known in by_name), None)
