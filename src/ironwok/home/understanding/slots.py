"""Slots by rules: how many steps, which source, in how many minutes. Chinese and English numbers."""

from __future__ import annotations

import re
import unicodedata

from ironwok.home.actions import MAX_MINUTES, MAX_STEPS, REPEATABLE, Action, Command

_DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "俩": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_ENGLISH = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "a": 1, "an": 1, "once": 1, "twice": 2}
_ENGLISH_NUMBER = "|".join(sorted(_ENGLISH, key=len, reverse=True))
_NUMBER_ZH = r"(?:\d{1,3}|[零〇一二两俩三四五六七八九十百]{1,5})"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_NUMBER_EN = rf"(?:\d{{1,3}}|(?:twenty|thirty|forty|fifty)[ -](?:{_ONES})|{_ENGLISH_NUMBER})"

# steps of a change of volume for which no number is given: one alone is hardly heard
_PLAIN, _LITTLE, _MUCH = 2, 1, 5

_STEPS_ZH = re.compile(rf"({_NUMBER_ZH})\s*(?:个格|格|下|档|挡|级|步|次|个|项|行|度)(?!来|面|边)")
_STEPS_EN = re.compile(
    rf"(?:by |up |down |left |right |^)({_NUMBER_EN})(?! more time)\b(?! (?:bit|little|lot|couple|few|touch|tad))"
    rf"|({_NUMBER_EN}) (?:times|steps?|notch(?:es)?|levels?|clicks?|rows?|items?|more|to the)\b|\b(once|twice)\b"
)
_LITTLE_WORDS = re.compile(r"一点点|一丢丢|稍微|略微|\ba (?:tiny|little) bit\b|\bslightly\b")
_MUCH_WORDS = re.compile(r"很多|许多|不少|一大截|大幅|\ba lot\b|\bmuch\b|\bway (?:up|down)\b")

_LEVEL = re.compile(
    rf"[调设升降开放加减提](?:大|小|高|低|节|置|整)?[到成为至]\s*(?:百分之)?\s*{_NUMBER_ZH}"
    rf"|\b(?:to|at) (?!an?\b){_NUMBER_EN}\b(?! steps?| times)"
)

_HOURS_ZH = re.compile(rf"({_NUMBER_ZH}|半)\s*个?\s*(半)?\s*(?:小时|钟头)")
_MINUTES_ZH = re.compile(rf"({_NUMBER_ZH})\s*(?:分钟|分(?!之))")
_QUARTER_ZH = re.compile(r"([一三])刻钟")
_HOURS_EN = re.compile(rf"\b({_NUMBER_EN})(?: and a (half))? hours?\b")
_MINUTES_EN = re.compile(rf"\b({_NUMBER_EN}) ?(?:minutes?|mins?)\b")

_HDMI = re.compile(
    r"(?:第?(\d|[一二三四])\s*[号个]\s*|\b(first|second|third|fourth) )?"
    r"hdmi\s*(?:接口|端口|输入|口|port|input)?\s*(\d|[一二三四]|one|two|three|four)?"
)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}


def normalize(text: str) -> str:
    """Full width to half, lower case, one kind of space. For reading only: nothing points back into the text."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).lower()).strip()


def number_of(text: str) -> int | None:
    """A number up to 999 in digits, Chinese or English words."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text)
    if text in _ENGLISH:
        return _ENGLISH[text]
    if found := re.fullmatch(r"(twenty|thirty|forty|fifty)[ -](\w+)", text):
        return _ENGLISH[found[1]] + _ENGLISH[found[2]]
    found = re.fullmatch(
        r"(?:([一二两三四五六七八九])百)?零?(?:([一二三四五六七八九])?(十))?([一二两俩三四五六七八九])?", text
    )
    if not text or found is None:
        return None
    hundreds, tens, ten, ones = found.groups()
    total = 100 * _DIGITS[hundreds] if hundreds else 0
    if ten:
        total += 10 * (_DIGITS[tens] if tens else 1)
    return total + (_DIGITS[ones] if ones else 0)


def steps_in(text: str, action: Action) -> int:
    """How often a repeatable key is meant, bounded by what a command may have."""
    text = normalize(text)
    volume = action in (Action.VOLUME_UP, Action.VOLUME_DOWN)
    number = None
    if found := _STEPS_ZH.search(text):
        number = number_of(found[1])
    if number is None and (found := _STEPS_EN.search(text)):
        number = number_of(next(group for group in found.groups() if group))
    if number is None and "a couple" in text:
        number = 2
    if number is None and volume:
        number = _LITTLE if _LITTLE_WORDS.search(text) else _MUCH if _MUCH_WORDS.search(text) else _PLAIN
    return min(max(number or 1, 1), MAX_STEPS)


def names_level(text: str) -> bool:
    """Whether a level is named, "volume to fifty", where a key knows only up and down."""
    return bool(_LEVEL.search(normalize(text)))


def minutes_in(text: str) -> int | None:
    """A span of time in minutes, None where there is none. What is out of bounds is returned as it is."""
    text = normalize(text)
    total, seen = 0.0, False
    for pattern in (_HOURS_ZH, _HOURS_EN):
        if found := pattern.search(text):
            seen = True
            number = 0.5 if found[1] == "半" else float(number_of(found[1]) or 0)
            total += 60 * (number + (0.5 if found[2] else 0))
    if re.search(r"\bhalf an? hour\b", text):
        # "an hour" in it was counted as a whole one
        seen, total = True, 30.0
    if re.search(r"\bhours? and a half\b", text):
        total += 30
    for pattern in (_MINUTES_ZH, _MINUTES_EN):
        if found := pattern.search(text):
            seen = True
            total += number_of(found[1]) or 0
    if found := _QUARTER_ZH.search(text):
        seen, total = True, total + 15 * _DIGITS[found[1]]
    if re.search(r"\ba quarter of an hour\b", text):
        seen, total = True, 15.0
    return round(total) if seen else None


def source_in(text: str, known: tuple[str, ...] = ()) -> str | None:
    """The input that is named, as configured where it is; None where none is named or a bare HDMI leaves it open."""
    text = normalize(text)
    squeezed = text.replace(" ", "")
    for name in sorted(known, key=len, reverse=True):
        if normalize(name).replace(" ", "") in squeezed:
            return name
    spoken = None
    if found := _HDMI.search(text):
        before, ordinal, after = found.groups()
        said = after or before
        number = number_of(said) if said else _ORDINALS.get(ordinal)
        spoken = None if number is None else f"HDMI{number}"
    elif re.search(r"usb|[uU]盘|优盘", text):
        spoken = "USB"
    elif re.search(r"\bav\b", text):
        spoken = "AV"
    if spoken is None:
        return None
    return next((name for name in known if normalize(name).replace(" ", "") == spoken.lower()), spoken)


def with_plain_sources(text: str, sources: tuple[str, ...]) -> str:
    """The text with "hdmi 1" for inputs whose names only this room knows."""
    text = normalize(text)
    for name in sorted(map(normalize, sources), key=len, reverse=True):
        if not re.match(r"hdmi|usb|av", name):
            text = text.replace(name, "hdmi 1")
    return text


def command_of(action: Action, text: str, *, sources: tuple[str, ...] = ()) -> Command | str:
    """The command with its slots, or in words why there is none."""
    if action is Action.SOURCE:
        source = source_in(text, sources)
        if source is None:
            return "which source is meant? " + (", ".join(sources) or "name it: HDMI1, HDMI2, USB")
        if sources and source not in sources:
            return f"there is no source {source}; there are {', '.join(sources)}"
        return Command(action, source=source)
    if action is Action.POWER_OFF:
        minutes = minutes_in(text)
        if minutes is not None and not 1 <= minutes <= MAX_MINUTES:
            return f"{minutes} minutes are not in 1 to {MAX_MINUTES}"
        return Command(action, minutes=minutes)
    if action in (Action.VOLUME_UP, Action.VOLUME_DOWN) and names_level(text):
        return "the volume is known by its steps alone, not as a number: say how many steps up or down"
    return Command(action, steps=steps_in(text, action) if action in REPEATABLE else 1)
