from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwok.errors import EncodingError
from ironwok.text.encodings import decode, detect, detect_lines, known_codec

# As short as texts get in practice: names, labels, answers, remarks.
SHORT = [
    *("你好", "中国", "北京", "谢谢", "好的", "不错", "手机", "电影", "目前", "要", "天气预报", "今天休息", "新闻联播"),
    *("质量很好", "物流太慢了", "价格便宜，下次再来", "房间有点小，但是很干净。", "服务员态度差！", "请问几点开门？"),
    *("苹果手机壳 2 个", "第3章 总则", "iPhone用起来不错", "产品编号：A-1024", "图书馆周六开放", "李明"),
    *("明天上午九点在三楼会议室开会，请准时参加。", "这本书写得真好，我一口气读完了。", "《红楼梦》", "“好！”"),
    *("发烧咳嗽三天", "股票大涨", "球队赢得了比赛", "孩子很喜欢这个玩具", "味道一般般吧", "联系电话：010-12345678"),
]
TRADITIONAL = [
    *(
        "今天天氣很好，我們去公園散步。",
        "這家餐廳的服務態度很差",
        "圖書館週六開放",
        "謝謝您的來信！",
        "電腦軟體",
        "臺灣",
    ),
    *("請問這本書多少錢？", "會議改在明天下午三點", "這個產品的品質非常好，價錢也便宜。"),
]


@pytest.mark.parametrize("text", SHORT)
def test_short_simplified_text_in_gb18030(text: str) -> None:
    assert detect(text.encode("gb18030"), name="x") == "gb18030"
    assert decode(text.encode("gb18030"), name="x").text == text


@pytest.mark.parametrize("text", SHORT + TRADITIONAL)
def test_short_text_in_utf_8(text: str) -> None:
    assert decode(text.encode(), name="x").text == text


@pytest.mark.parametrize("text", TRADITIONAL)
def test_traditional_text_in_big5_and_in_gb18030(text: str) -> None:
    assert decode(text.encode("big5hkscs"), name="x").text == text
    assert decode(text.encode("gb18030"), name="x").text == text


def test_every_sentence_of_a_longer_text_by_itself() -> None:
    text = (
        "早上七点，菜市场已经很热闹了。卖豆腐的老张把担子放下，先给隔壁的阿婆留了两块。阿婆的孙子今年考上了大学，全家人都高兴。"
        "“通知书到了吗？”老张问。“昨天刚到，”阿婆笑着说，“学的是计算机。”旁边卖鱼的小伙子插话：现在学这个好找工作。"
        "天慢慢亮起来，买菜的人越来越多，吆喝声、讲价声混在一起，谁也听不清谁。"
    )
    for sentence in text.split("。"):
        assert decode(sentence.encode("gb18030"), name="x").text == sentence


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(codec: str) -> None:
    decoded = decode("题目\r\n正文".encode(codec), name="x")
    assert decoded.text == "题目\r\n正文"


def test_gb18030_with_its_byte_order_mark() -> None:
    assert decode("\ufeff你好".encode("gb18030"), name="x").text == "你好"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(codec: str) -> None:
    text = "第一行 line 1\n第二行 line 2\n"
    decoded = decode(text.encode(codec), name="x")
    assert (decoded.text, decoded.encoding) == (text, codec)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Le café est très bon, à bientôt.", "cp1252"),
        ("It’s “good” — really.", "cp1252"),
        ("naïve", "cp1252"),
        ("Привет, как дела? Это обычный русский текст о погоде и природе.", "cp1251"),
        ("안녕하세요, 오늘 날씨가 좋네요.", "cp949"),
        ("こんにちは、世界。今日は天気がいいです。", "euc_jp"),
        ("こんにちは、世界。今日は天気がいいです。", "cp932"),
    ],
)
def test_other_languages(text: str, codec: str) -> None:
    assert decode(text.encode(codec), name="x").text == text
    assert decode(text.encode(), name="x").text == text


@pytest.mark.parametrize("text", ["café", "Ünïcödé", "Привет", "Ελλάδα", "שלום", "élève à l'école"])
def test_two_byte_utf_8_is_not_taken_for_gb18030(text: str) -> None:
    assert detect(text.encode(), name="x") == "utf-8"


def test_a_long_ascii_preamble_does_not_hide_the_encoding() -> None:
    text = "log line without anything special\n" * 20_000 + "价格便宜，质量也不错\n"
    assert decode(text.encode("gb18030"), name="x").text == text


def test_a_character_cut_off_at_the_end_costs_only_itself() -> None:
    for codec in ("utf-8", "gb18030"):
        decoded = decode("今天天气不错，我们去公园吧".encode(codec)[:-1], name="x")
        assert decoded.text.startswith("今天天气不错，我们去公园")
        assert decoded.replaced == 1


def test_broken_bytes_in_a_long_text_are_counted() -> None:
    data = ("今天天气不错，我们去公园吧。" * 300).encode()
    decoded = decode(data[:3000] + b"\xff" + data[3000:], name="x")
    assert (decoded.encoding, decoded.replaced) == ("utf-8", 1)
    assert decoded.text.replace("\ufffd", "") == data.decode()


@pytest.mark.parametrize("text", ["中国人民", "今天天气不错，我们去公园吧。", "短 short 文字 text 在这里"])
@pytest.mark.parametrize("damage", [b"\xff", b"\xe4\xb8", b"\x80"])
def test_one_bad_byte_in_a_short_text_costs_only_itself(text: str, damage: bytes) -> None:
    data = text.encode()
    for place in (0, len(data), len(text[:2].encode())):
        for named in (None, "utf-8"):
            decoded = decode(data[:place] + damage + data[place:], name="x", encoding=named)
            assert (decoded.encoding, decoded.replaced) == ("utf-8", len(damage) if damage != b"\xe4\xb8" else 1)
            assert decoded.text.replace("\ufffd", "") == text


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_a_single_zero_byte_does_not_make_a_text_binary(codec: str) -> None:
    data = ("今天天气不错，我们去公园吧。\n" * 60).encode(codec)
    place = len(data) // 2  # 30 lines
    decoded = decode(data[:place] + b"\x00" + data[place:], name="x")
    assert (decoded.encoding, decoded.replaced) == (codec, 1)
    assert decoded.text.replace("\ufffd", "") == data.decode(codec)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_and_without_a_single_latin_letter(codec: str) -> None:
    for text in ("今天天气不错，我们去公园吧。", "好的", "中国的一个人\n"):
        assert decode(text.encode(codec), name="x").text == text
    rare = "饕餮纹青铜簋盨，鎏金鍪釜甑鬲。"
    with pytest.raises(EncodingError, match=f"--encoding {codec}"):
        decode(rare.encode(codec), name="x")
    assert decode(rare.encode(codec), name="x", encoding=codec).text == rare


def test_replacement_characters_of_the_text_itself_are_not_counted() -> None:
    assert decode("坏\ufffd字".encode(), name="x").replaced == 0


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 8,
        b"\x00\x01\x02\x03" * 100,
        b"\x89PNG\r\n\x1a\n" + b"\x99" * 50,
        b"%PDF-1.7\nsomething",
        b"PK\x03\x04 a packed file",
        b"\x7fELF" + b"\x01" * 100,
    ],
)
def test_binary_data_is_an_error(data: bytes) -> None:
    with pytest.raises(EncodingError, match=r"thing\.txt: binary data"):
        decode(data, name="thing.txt")


def test_a_given_encoding_is_trusted_and_checked() -> None:
    assert decode("你好".encode("big5"), name="x", encoding="Big5").text == "你好"
    with pytest.raises(EncodingError, match=r"a\.txt: not utf-8: byte 0 \(0xc4\)"):
        decode("你好".encode("gb18030"), name="a.txt", encoding="utf-8")
    with pytest.raises(EncodingError, match="no encoding called 'klingon'"):
        decode(b"x", name="x", encoding="klingon")


def test_codecs_that_are_no_text_encodings_are_unknown() -> None:
    assert known_codec("rot13") is None
    assert known_codec("zip") is None
    assert known_codec("utf\x008") is None
    assert known_codec("GB2312") == known_codec("gbk") == "gb18030"


def test_a_declared_encoding_is_believed_only_if_it_fits() -> None:
    data = "今天天气不错，出去走走。".encode("gb18030")
    assert decode(data, name="x", declared="gb2312").text == "今天天气不错，出去走走。"
    assert decode(data, name="x", declared="utf-8").text == "今天天气不错，出去走走。"


def test_empty_data_is_an_empty_text() -> None:
    assert decode(b"", name="x").text == ""


def test_lines_are_judged_by_the_whole_stream() -> None:
    ascii_only = b"id,number\n" * 20_000  # more than the first sample
    for codec, expected in (("gb18030", "gb18030"), ("utf-8", "utf-8")):
        assert detect_lines(io.BytesIO(ascii_only + "1,价格便宜质量好\n".encode(codec)), name="x") == expected
    assert detect_lines(io.BytesIO(("文本\t标签\n" * 30_000).encode("utf-16")), name="x") == "utf-16-le"
    assert detect_lines(io.BytesIO("文本 a\t标签\n".encode("utf-16-le") * 30_000), name="x") == "utf-16-le"


def test_one_damaged_line_does_not_change_the_encoding_of_a_stream() -> None:
    lines = ["第一行文字\n".encode(), "第二行文字\n".encode(), b"\xff\xfe\xfa\n", "第三行文字\n".encode()]
    assert detect_lines(io.BytesIO(b"".join(lines)), name="x") == "utf-8"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1))
def test_utf_8_with_a_mark_survives(text: str) -> None:
    assert decode(text.encode("utf-8-sig"), name="x").text == text.removeprefix("\ufeff") or text.startswith("\ufeff")


@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_an_encoding_error(data: bytes) -> None:
    try:
        decoded = decode(data, name="x")
    except EncodingError:
        return
    assert isinstance(decoded.text, str)
    assert known_codec(decoded.encoding) is not None


@pytest.mark.parametrize(
    ("codec", "text", "broken"),
    [
        ("big5", "銀行宣佈降息。", b"\xff"),
        ("shift_jis", "今日は晴れです。", b"\x85"),
        ("latin-1", "café crème", b"\x81"),
    ],
)
def test_broken_bytes_are_counted_where_the_encoding_has_no_sign_for_them(codec: str, text: str, broken: bytes) -> None:
    decoded = decode((text * 20).encode(codec) + broken, name="x", encoding=codec)
    assert decoded.replaced == 1
    assert decoded.text == text * 20 + "\ufffd"


@pytest.mark.parametrize("named", ["gb18030", "big5", "shift_jis", "latin-1", "utf-16"])
def test_an_encoding_that_is_clearly_wrong_is_refused_though_the_bytes_fit(named: str) -> None:
    for text in ("怎么还款如何还款", "今天天气不错，我们去公园吧。", "English with one word 手机号 in it"):
        with pytest.raises(EncodingError, match=f"x: not {named}: "):
            decode(text.encode(), name="x", encoding=named)
    right = "饕餮纹青铜簋" if named in ("gb18030", "utf-16") else "plain"
    assert decode(right.encode(named), name="x", encoding=named).text == right
