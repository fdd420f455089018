"""Sentences to hashed n-grams: Chinese by the character, English by the word and by pieces of words."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from ironwok.home.understanding.slots import normalize

# what is said out of politeness, or to the speaker; it tells nothing
_FILLERS_ZH = re.compile(
    r"^(?:小爱同学|小爱|喂|嘿|劳驾|那就|好了|现在|麻烦你?|请你?|帮我|帮忙|给我|能不能|可不可以|你)+"
    r"|(?:谢谢|好吗|好不好|行吗|可以吗|呗|啦|嘛|吧)+$"
)
_FILLERS_EN = re.compile(
    r"^(?:(?:hey|ok|please|now|just|kindly|can you|could you|would you|will you|go ahead and"
    r"|i(?:'d| would) like (?:you )?to|i want (?:you )?to|let's)\s+)+"
    r"|(?:\s+(?:please|thanks|thank you|for me|would you|will you))+$"
)
_TOKENS = re.compile(r"[a-z']+|\d+|[^\W\d_]")
_NUMBERS = re.compile(r"\d+|[一二两三四五六七八九十百]+(?=格|下|档|挡|级|步|次|个|分|小时|项|行)")


def tokens_of(text: str) -> list[str]:
    """Words of English, characters of Chinese; numbers before a unit and digits all become "#"."""
    text = normalize(text)
    for _ in range(2):
        text = _FILLERS_EN.sub("", _FILLERS_ZH.sub("", text).strip(" ,.!?，。！？、")).strip(" ,.!?，。！？、")
    return _TOKENS.findall(_NUMBERS.sub(" 0 ", text))


def features_of(tokens: list[str]) -> NDArray[np.uint32]:
    """CRC-32 of the n-grams of one sentence, sorted, each once."""
    marked = ["^", *("#" if token.isdigit() else token for token in tokens), "$"]
    grams = {
        f"{size} {' '.join(marked[start : start + size])}"
        for size in (1, 2, 3, 4)
        for start in range(len(marked) - size + 1)
    }
    for token in tokens:
        if token.isascii() and len(token) > 3:
            # a word that was misheard or inflected still shares pieces
            framed = f"<{token}>"
            grams |= {f"p {framed[start : start + 4]}" for start in range(len(framed) - 3)}
    return np.array(sorted({zlib.crc32(gram.encode("utf-8")) for gram in grams}), dtype=np.uint32)
