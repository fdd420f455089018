"""Bytes into text: which encoding a file is in, decided for Chinese and English first.

Statistical detectors are made for long texts and many languages: on a Chinese sentence in GB18030 they often answer
Korean or Big5. Here the likely answers are tried first, each by what sets it apart, and ``charset-normalizer`` settles
the rest:

1. a byte order mark;
2. zero bytes: UTF-16 without a mark, or no text at all;
3. valid UTF-8 (which other encodings are by accident only in very short texts);
4. GB18030, Big5 and their Korean and Japanese neighbours, by how many of the characters are frequent ones: a frequent
   character of one encoding is a rare one in the others nearly always, so two or three characters are enough;
5. single accented letters between ASCII: Windows-1252;
6. whatever ``charset-normalizer`` finds.
"""

from __future__ import annotations

import codecs
import itertools
import re
from dataclasses import dataclass
from typing import BinaryIO

from ironwok.errors import EncodingError

# The most frequent characters of modern Chinese; traditional forms where they differ. About half of any running text.
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都"
    "同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由"
    "问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真"
    "论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空"
    "决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识"
    "候带导争运笔买卖价钱店货质服快慢送错退换喜欢差评店谢请吗吧呢您哪谁怎早晚午星期昨号元版网站图片视频户登录密码软"
)
_TRADITIONAL = (
    "這個們來為國說時會對過發後裡種經學現當沒動還進樣開從實軍無與長機關點業外將兩間問戰應頭體見產東聲員論處義幾認條係氣題爾變總電數報結"
    "務場計資許統區隊決馬書則聽卻達強難權設記類據邊張該規萬覺術領確傳師觀讓識候帶導爭運筆買賣價錢貨質錯換歡評謝請嗎誰號網圖視頻戶錄碼軟"
    "臺灣讀寫黨歷華愛親車飛風魚鳥門龍園陽陰雲標線組織級給約紅綠練終極樂農村選舉議會顧慮麼裏於妳週"
)
_MARKS = "，。、：；！？“”‘’（）《》「」『』【】…—·　"
_KOREAN = "이다는을의에가하고지를은기한도사리로자어시서대인나전정있해수아일과들보원으부제스장공구그게라했상성적만주"
_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30FD))))

# What can be told apart by frequent characters, the likelier first: it wins a draw.
_CHINESE_FREQUENT = frozenset(_SIMPLIFIED + _TRADITIONAL + _MARKS)
_EAST_ASIAN = {
    "gb18030": _CHINESE_FREQUENT,
    "big5hkscs": _CHINESE_FREQUENT,
    "cp949": frozenset(_KOREAN),
    "euc_jp": frozenset(_KANA + "、。「」の日人年大本"),
    "cp932": frozenset(_KANA + "、。「」の日人年大本"),
}
# In each standard's table the common characters come first: the lead bytes of that part.
_COMMON_LEADS = {
    "gb18030": range(0xB0, 0xD8),
    "big5hkscs": range(0xA4, 0xC7),
    "cp949": range(0xB0, 0xC9),
    "euc_jp": range(0xB0, 0xD0),
    "cp932": range(0x88, 0x99),
}

# The encodings that a browser reads under these names hold more characters than the names promise.
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "gb18030",
    "big5": "big5hkscs",
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf_8": "utf-8",
}
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its first two bytes are the same
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_SAMPLE = 1 << 16  # bytes judged where scoring is needed
_SHORT = 64  # bytes; under that a statistical detector guesses
_ENOUGH = 0.2  # of _plausibility: a right reading scores 0.25 when it has common characters only, and mostly over 0.5
_PRIOR = 0.05  # for GB18030, by far the most frequent of them in our users' files; more where two characters decide
_FEW_BROKEN = 1000  # one broken byte in this many characters is damage, more is another encoding
_FEW_ZEROS = 200  # one zero byte in this many is damage, more is no text
_SAMPLED_LINES = 2000
# UTF-16 and UTF-32 were ruled out by their zero bytes; the rest is guessed for short Chinese texts and hardly in use.
_EXCLUDED = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be", "utf_7"]
_EXCLUDED += ["johab", "shift_jis_2004", "shift_jisx0213", "euc_jis_2004", "euc_jisx0213", "cp1006"]
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\xd0\xcf\x11\xe0", b"\x7fELF")
_ESCAPED = re.compile("[\udc80-\udcff]+")
_LONGEST_DAMAGE = 4  # bytes in one place: a character, or what a broken one leaves
_CONTROL = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_LATIN_LETTER = re.compile(rb"[A-Za-z]")
_NEUTRAL = re.compile("[\xa1-\xff\u2000-\u2fff\uff01-\uff5e]")  # signs, numbers in circles, full-width letters
# Letters of living alphabets below U+0800; the sets hold what ordinary text uses.
_ALPHABETS = tuple(
    map(
        re.compile,
        ("[\xa0-\u017f]", "[\u0386-\u03ce]", "[\u0400-\u045f\u0490\u0491]", "[\u05b0-\u05f4]", "[\u060c-\u066d]"),
    )
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and where it came from.

    encoding: the Python codec. replaced: how many broken byte sequences stand in the text as U+FFFD.
    """

    text: str
    encoding: str
    replaced: int = 0


def decode(data: bytes, *, name: str, encoding: str | None = None, declared: str | None = None) -> Decoded:
    """The text in ``data``, without its byte order mark and otherwise unchanged.

    name: what to call the data in errors. encoding: trusted, no detection. declared: what the file says of itself
    (HTML, XML), believed if the bytes agree.
    A few broken or zero bytes (a text cut off in the middle of a character, say) become U+FFFD and are counted.
    Raises EncodingError if ``encoding`` is unknown, if most of the bytes do not fit it or they are clearly UTF-8
    instead, or if they are no text in any likely encoding.
    """
    if encoding is not None:
        codec = known_codec(encoding)
        if codec is None:
            raise EncodingError(
                f"{name}: Python knows no encoding called {encoding!r}; try 'utf-8', 'gb18030', 'big5', 'utf-16'"
            )
        decoded = _with_replacements(data, codec)
        if decoded.replaced and _is_another_encoding(decoded):
            raise EncodingError(f"{name}: not {encoding}: {_first_misfit(data, codec)}; {_other_way(data)}")
        if codec != "utf-8" and _is_rather_utf8(data, codec):
            raise EncodingError(f"{name}: not {encoding}: it is valid UTF-8; name that encoding, or none")
        return decoded
    return _with_replacements(data, detect(data, name=name, declared=declared))


def _with_replacements(data: bytes, codec: str) -> Decoded:
    text = data.decode(codec, errors="replace")
    replaced = text.count("\ufffd") - _own_marks(data, codec) if "\ufffd" in text else 0
    zeros = text.count("\x00")
    if zeros:  # no sign of any text, and trouble for whoever reads it later
        text = text.replace("\x00", "\ufffd")
    return Decoded(_strip_mark(text), codec, max(replaced, 0) + zeros)


def _own_marks(data: bytes, codec: str) -> int:
    """How often the text itself has U+FFFD, which most encodings cannot write."""
    try:
        return data.count("\ufffd".encode(codec))
    except UnicodeEncodeError:
        return 0


def _is_rather_utf8(data: bytes, codec: str) -> bool:
    """Whether these bytes, in the encoding that was named, would be rare characters, and are wide ones in UTF-8."""
    if not _fits(data, "utf-8") or max(data.decode("utf-8"), default="") <= "\u07ff":
        return False
    return codec not in _EAST_ASIAN or _plausibility(_informative_part(data), codec) < _ENOUGH


def _is_another_encoding(decoded: Decoded) -> bool:
    """Whether so much is broken that the named encoding cannot have been meant."""
    beyond_ascii = sum(character > "\x7f" for character in decoded.text) - decoded.replaced
    nothing_else = not decoded.text.replace("\ufffd", "").strip()
    return nothing_else or (decoded.replaced > 2 and decoded.replaced * 4 > beyond_ascii)


def _first_misfit(data: bytes, codec: str) -> str:
    try:
        data.decode(codec)
    except UnicodeDecodeError as error:
        return f"byte {error.start} ({data[error.start]:#04x}) does not fit, nor do most others"
    return "it holds nothing but zero bytes"


def _other_way(data: bytes) -> str:
    try:
        return f"it reads as {detect(data, name='')}: name that encoding, or none"
    except EncodingError:
        return "nor does it read as any other likely encoding"


def known_codec(label: str) -> str | None:
    """Python's name of the text encoding that a file means by ``label``, or None for a name that means nothing."""
    try:
        info = codecs.lookup(label.strip().strip("\"'"))
    except (LookupError, ValueError):  # ValueError: a zero character in the name
        return None
    if not getattr(info, "_is_text_encoding", True):
        return None
    return _WIDER.get(info.name, info.name)


def is_wide(codec: str) -> bool:
    """Whether a line feed is more than one byte there: UTF-16 and UTF-32."""
    return codec.startswith(("utf-16", "utf-32"))


def detect(data: bytes, *, name: str, declared: str | None = None) -> str:
    """The codec that ``data`` is written in. Raises EncodingError when there is none, or when it is no text."""
    for mark, codec in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return codec
    if (zeros := data.count(0)) > 0:
        text = data.replace(b"\x00", b"")
        is_text = _fits(text, "utf-8") or _best_east_asian(text, _informative_part(text)) is not None
        if zeros * _FEW_ZEROS > len(data) or not is_text:
            return _detect_utf16(data, name=name)
        data = text
    if _looks_binary(data):
        if not data.startswith(_MAGIC) and (codec := _chinese_utf16(data)) is not None:
            return codec
        raise EncodingError(f"{name}: binary data, not text{_utf16_hint(data)}")
    if declared is not None and (codec := known_codec(declared)) is not None and _fits(data, codec):
        return codec
    if (_fits(data, "utf-8") and not _utf8_by_accident(data)) or _is_damaged_utf8(data):
        return "utf-8"
    sample = _informative_part(data)
    if (east_asian := _best_east_asian(data, sample)) is not None:
        return east_asian
    if (codec := _chinese_utf16(data)) is not None:
        return codec
    if _mostly(data, "utf-8"):
        return "utf-8"
    if _accented_latin(sample) and _fits(data, "cp1252"):
        return "cp1252"
    if len(sample) <= _SHORT and _fits(data, "gb18030") and _plausibility(sample, "gb18030") >= -0.25:
        return "gb18030"  # rare characters only, a name perhaps; too short for statistics
    return _detect_other(data, sample, name=name)


def detect_lines(file: BinaryIO, *, name: str) -> str:
    """The codec of a stream that is too long to hold, judged by all its lines beyond ASCII.

    file: at its start; it is read to its end. Raises EncodingError.
    """
    head = file.read(_SAMPLE)
    if head.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)) or head.count(0) * 10 > len(head):
        whole = len(head) < _SAMPLE or _detectable(head)  # the sample may end within a UTF-16 surrogate pair
        return detect(head if whole else head[:-2], name=name)
    if _looks_binary(head):
        raise EncodingError(f"{name}: binary data, not text{_utf16_hint(head)}")
    good, bad, rest = 0, 0, head.rpartition(b"\n")[2]
    sample: list[bytes] = []
    for line in itertools.chain(
        head[: len(head) - len(rest)].splitlines(keepends=True), [rest + file.readline()], file
    ):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            bad += 1
            if bad <= _SAMPLED_LINES:
                sample.append(line[:_SAMPLE])
    # A line of another encoding is next to never valid UTF-8; a UTF-8 file may well hold a few damaged lines.
    if good >= bad:
        short = bad == 0 and good <= 2 and len(head) < _SAMPLE
        return detect(head, name=name) if short else "utf-8"
    return detect(b"".join(sample), name=name)


def _detectable(data: bytes) -> bool:
    try:
        detect(data, name="")
    except EncodingError:
        return False
    return True


def _strip_mark(text: str) -> str:
    return text[1:] if text.startswith("\ufeff") else text


def _fits(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _mostly(data: bytes, codec: str) -> bool:
    """Whether the bytes are this encoding but for a few broken ones, or for a character cut off at the end."""
    text = data.decode(codec, errors="replace")
    beyond_ascii = sum(character > "\x7f" for character in text[:_SAMPLE])
    broken = text.count("\ufffd")
    cut_off = broken == 1 and text.endswith("\ufffd") and beyond_ascii >= 4
    few = broken * _FEW_BROKEN <= len(text) and broken * 20 <= beyond_ascii
    return cut_off or (broken > 0 and few)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8 but for a place or two, or one in twenty of those beyond ASCII.

    What is valid as characters of three bytes is UTF-8: other encodings give such sequences next to never.
    """
    text = data.decode("utf-8", errors="surrogateescape")
    broken = _ESCAPED.findall(text)
    if not broken or max(map(len, broken)) > _LONGEST_DAMAGE:
        return False
    wide = sum("\u0800" <= character <= "\ud7ff" or character >= "\ue000" for character in text)
    return wide >= 4 * len(broken) and (len(broken) <= 2 or wide >= 20 * len(broken))


def _looks_binary(data: bytes) -> bool:
    if data.startswith(_MAGIC):
        return True
    sample = data[:_SAMPLE]
    return len(_CONTROL.findall(sample.decode("latin-1"))) * 50 > len(sample)


def _informative_part(data: bytes) -> bytes:
    """A piece to judge by that starts where ASCII ends, so that a long English preamble decides nothing."""
    first = _HIGH_RUN.search(data)
    start = max(first.start() - 256, 0) if first else 0
    return data[start : start + _SAMPLE]


def _detect_utf16(data: bytes, *, name: str) -> str:
    """UTF-16 without a mark: line ends and Latin letters put zero bytes on one side only."""
    if len(data) % 2 == 0:
        even, odd = data[:_SAMPLE:2].count(0), data[1:_SAMPLE:2].count(0)
        for codec, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
            if zeros > 4 * others and _fits(data, codec):
                text = data[:_SAMPLE].decode(codec, errors="ignore")
                readable = sum(character.isprintable() or character.isspace() for character in text)
                if readable >= 0.95 * len(text):
                    return codec
    if (codec := _chinese_utf16(data)) is not None:
        return codec
    raise EncodingError(f"{name}: binary data (zero bytes), not text{_utf16_hint(data)}")


def _chinese_utf16(data: bytes) -> str | None:
    """UTF-16 without a mark and without any Latin letter or line end: common Chinese characters and nothing else."""
    for codec in ("utf-16-le", "utf-16-be"):
        chinese, frequent = _chinese_shares(data, codec)
        if len(data) >= 4 and chinese == 1.0 and frequent >= 0.4:
            return codec
    return None


def _chinese_shares(data: bytes, codec: str) -> tuple[float, float]:
    """Of the characters in this UTF-16: the share that is Chinese at all, and the share of frequent ones."""
    if len(data) % 2 or not data:
        return 0.0, 0.0
    text = data[:_SAMPLE].decode(codec, errors="replace")
    chinese = sum("\u4e00" <= sign <= "\u9fff" or sign in _CHINESE_FREQUENT or sign in "\r\n" for sign in text)
    return chinese / len(text), sum(character in _CHINESE_FREQUENT for character in text) / len(text)


def _utf16_hint(data: bytes) -> str:
    """For the end of a message, where the data may be UTF-16 after all."""
    for codec in ("utf-16-le", "utf-16-be"):
        chinese, frequent = _chinese_shares(data[: len(data) // 2 * 2], codec)
        if chinese >= 0.7 and frequent >= 0.2:
            return f"; if it is UTF-16 without a byte order mark, name it: --encoding {codec} (encoding={codec!r})"
    return ""


def _utf8_by_accident(data: bytes) -> bool:
    """Whether valid UTF-8 is rather a few Chinese characters in GB18030.

    Some pairs of GB bytes are valid two-byte UTF-8, but then they spell odd letters, or several alphabets in one word.
    """
    high = b"".join(_HIGH_RUN.findall(data[:_SAMPLE]))
    if not 0 < len(high) <= 16:
        return False
    letters = high.decode("utf-8")
    if max(letters) > "\u07ff":
        return False
    alphabets = {next((i for i, alphabet in enumerate(_ALPHABETS) if alphabet.match(letter)), -1) for letter in letters}
    plausibility = _plausibility(data, "gb18030")
    if plausibility == 1.0 and not _LATIN_LETTER.search(data):
        return True  # frequent characters only: "谢谢" is valid Cyrillic
    return (-1 in alphabets or len(alphabets) > 1) and plausibility >= _ENOUGH


def _best_east_asian(data: bytes, sample: bytes) -> str | None:
    """The encoding in which the sample reads as Chinese, Korean or Japanese, or None if in none."""
    scores = {codec: _plausibility(sample, codec) for codec in _EAST_ASIAN}
    pairs = max(sum(byte > 0x7F for byte in sample) // 2, 1)
    prior = {"gb18030": _PRIOR + 0.25 / pairs}
    best = max(scores, key=lambda codec: scores[codec] + prior.get(codec, 0.0))
    if scores[best] < _ENOUGH:
        return None
    return best if _fits(data, best) or _mostly(data, best) else None


def _plausibility(sample: bytes, codec: str) -> float:
    """How much the bytes look like text in this encoding: from -1 to 1, the mean over the characters beyond ASCII."""
    frequent = _EAST_ASIAN[codec]
    beyond = [character for character in sample.decode(codec, errors="replace") if character > "\x7f"]
    if not beyond:
        return -1.0
    points = 0.0
    for character in beyond:
        if character in frequent:
            points += 1.0
        elif "\u4e00" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3":
            coded = character.encode(codec)
            common = len(coded) == 2 and coded[0] in _COMMON_LEADS[codec] and (codec != "gb18030" or coded[1] >= 0xA1)
            points += 0.25 if common else -0.25
        elif not _NEUTRAL.match(character):
            points -= 1.0  # private use, unassigned, broken, half-width kana, alphabets that such text rarely holds
    return points / len(beyond)


def _accented_latin(sample: bytes) -> bool:
    """Whether high bytes stand alone among ASCII, as accents, dashes and curly quotes do in Western European text."""
    runs = _HIGH_RUN.findall(sample)
    alone = sum(len(run) == 1 for run in runs)
    return alone >= 0.9 * len(runs) and 3 * sum(map(len, runs)) <= len(sample)


def _detect_other(data: bytes, sample: bytes, *, name: str) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_exclusion=_EXCLUDED).best()
    if best is not None and (_fits(data, best.encoding) or _mostly(data, best.encoding)):
        codec = _WIDER.get(best.encoding, best.encoding)
        return codec if _fits(data, codec) else best.encoding
    raise EncodingError(
        f"{name}: no text in UTF-8, GB18030, Big5 or any other likely encoding; name the encoding if you know it: "
        f"--encoding NAME (encoding='NAME'){_utf16_hint(data)}"
    )
