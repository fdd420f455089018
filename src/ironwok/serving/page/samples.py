"""Texts to try the page with, all of them made up: name of a button -> what it fills in."""

from __future__ import annotations

CLASSIFY: dict[str, tuple[str, str]] = {
    "新闻": (
        "主队在加时赛最后一分钟绝杀对手，闯进决赛。\n"
        "央行宣布下调存款准备金率，股市应声上涨。\n"
        "新款手机的电池能用两天，屏幕也更亮了。\n"
        "医生提醒：换季时多喝水，少熬夜。",
        "体育，财经，科技，健康",
    ),
    "评价": ("菜端上来已经凉了，等了一个多小时。\n房间干净，老板还帮我们拿行李。", "好评，差评"),
    "English": (
        "The striker scored twice in the last ten minutes.\nShares fell after the bank cut its forecast.",
        "sport, business, science",
    ),
}

COMPARE: dict[str, tuple[str, str]] = {
    "问句": ("怎么修改绑定的手机号\n花呗可以提前还款吗", "手机号怎么换绑\n借呗可以提前还款吗"),
}

FILL: dict[str, tuple[str, str]] = {
    "成语": (
        "他准备充分，____地通过了考试。\n方案本来很好，再加一条反而____。",
        "轻而易举，画蛇添足，愚公移山",
    ),
}

EXTRACT: dict[str, tuple[str]] = {
    "质押": ("云岭矿业今日公告，公司把持有的三成股权质押给江南银行，用于补充流动资金。",),
    "两件事": ("海湾信托宣布以十二亿元收购北辰软件六成股份；同日，北辰软件董事长李若安提交了辞职报告。",),
}

ANSWER: dict[str, tuple[str, str]] = {
    "English": (
        "The ferry to Lindholm leaves the old pier at seven in the morning. It does not sail on Sundays.\n\n"
        "Bread rises twice: an hour in the bowl, then half an hour in the tin.\n\n"
        "The harbour office opens at nine. Its keeper is called Marten Vos.",
        "When does the ferry to Lindholm leave?",
    ),
    "中文": (
        "去林岛的渡船早上七点从旧码头出发，周日停航。\n\n面团要发两次：先在盆里一小时，再在模具里半小时。\n\n港务处九点开门，管理员叫马腾。",
        "去林岛的渡船几点出发？",
    ),
}
