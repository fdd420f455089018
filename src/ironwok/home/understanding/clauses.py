"""What plain rules see in a sentence: its clauses, a prohibition, and that it names another device."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ironwok.home.understanding.slots import normalize

_BREAKS = re.compile(r"[,，。;；:：!！?？、.]+")
_FORBIDS = re.compile(r"别|不要|不许|不准|不用|勿|\b(?:don't|do not|never|not)\b")

# Houses have more than a projector. What follows or precedes may make it something else: a box at the television's
# side is a source, a call is no telephone.
_DEVICES = re.compile(
    r"灯(?!泡亮)|空调|电视(?!剧|盒|节目|电影|机顶)|窗帘|风扇|音箱|音响|收音机|加湿器|净化器|净水器|热水器|电饭煲|洗衣机|洗碗机|扫地|吸尘|门锁|车库|油烟机|"
    r"电脑(?!信号|画面|屏|的画面|的信号)|水龙头|燃气|煤气|窗户|车窗|车载|跑步机|电梯|水壶|手表|"
    r"暖气|地暖|冰箱|微波炉|烤箱|插座|路由器|摄像头|浴霸|新风|马桶|鱼缸|闹钟|手机|耳机|平板|打印机|晾衣|咖啡机|门铃|制冷|制热|"
    r"\b(?:lights?|lamps?|tv|television|telly|air con(?:ditioner)?|heater|heating|thermostat|blinds|curtains?|oven|"
    r"vacuum|washing machine|dishwasher|doors?|garage|radio|stereo|camera|alarm|router|humidifier|kettle|"
    r"fridge|printer|sprinklers?|fan|phone(?! call)|shower|fireplace|coffee)\b"
)


# "Be quiet" is said to people as well; a command has no need to name whom it is for.
_TO_PEOPLE = re.compile(
    r"^(?:你们?|大家|孩子们?|宝宝|小朋友们?)(?:能不能|可不可以|可以|能|都|给我|先|也)*(?:安静|闭嘴|小声|小点声|轻声|轻点|轻一点|别吵|别说)"
)


def clauses_of(text: str) -> list[str]:
    """Pieces between commas and the like. Not at "and" or "then": what they join is more than a reason."""
    return [piece for piece in _BREAKS.split(normalize(text)) if piece and piece.strip()]


def forbids(text: str) -> bool:
    """Whether something in it is not to be done."""
    return _FORBIDS.search(normalize(text)) is not None


def speaks_to_people(text: str) -> bool:
    """Whether somebody in the room is asked to be quiet, not the projector."""
    return _TO_PEOPLE.search(normalize(text)) is not None


def names_another_device(text: str, *, sources: Iterable[str] = ()) -> bool:
    """Whether it is about something else that can be switched, louder or brighter. sources: inputs may be named so."""
    text = normalize(text)
    for name in sources:
        text = text.replace(normalize(name), " ")
    return _DEVICES.search(text) is not None
