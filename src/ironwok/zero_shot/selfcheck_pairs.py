"""Sentences of our own that follow one another, for the self-check: half short, half long, no two on one matter."""

from __future__ import annotations

CHINESE: tuple[tuple[str, str], ...] = (
    ("外面下雨了。", "记得带上雨伞。"),
    ("他饿得肚子咕咕叫。", "于是去厨房煮了一碗面。"),
    ("手机快没电了。", "充电器放在哪里？"),
    ("小猫跳上了窗台。", "它盯着外面的麻雀看。"),
    ("比赛进入最后一分钟。", "前锋射门得分，全场球迷欢呼起来。"),
    ("这家酒店离车站很近。", "房间干净，前台服务也好。"),
    ("医生给他量了体温。", "三十九度，得吃退烧药。"),
    ("股市今天大跌。", "许多投资者亏了钱。"),
    (
        "县里去年修通了到山顶村的公路，以前进城要走四个小时的山路，现在坐班车不到一小时。",
        "路通了以后，村民种的苹果和核桃当天就能运到城里的市场，收入比前年多了一半。",
    ),
    (
        "程序启动时会先读取配置文件，如果文件不存在，就使用内置的默认值，并在日志里写下一条警告。",
        "要改变默认的端口，只需在配置文件里加上一行，保存以后重新启动程序就能生效。",
    ),
    (
        "这座博物馆建于上世纪二十年代，馆内收藏着三千多件瓷器，其中最早的出自宋代的官窑。",
        "馆长介绍说，为了保护这些瓷器，展厅的灯光和湿度都由仪器控制，参观时不允许拍照。",
    ),
    (
        "老师让学生们把种子埋在湿润的土里，放在朝南的窗边，每天记下它有没有发芽、长了多高。",
        "一个星期以后，大多数花盆里冒出了嫩绿的小芽，孩子们拿着尺子围在一起量。",
    ),
    (
        "合同规定，承租人应当在每月五日以前支付租金，逾期超过十五日的，出租人有权解除合同。",
        "承租人提前退租的，应当提前一个月书面通知出租人，押金在验收房屋以后退还。",
    ),
    (
        "天文学家用新的望远镜观测到一颗距离地球四十光年的行星，它绕着一颗红矮星转动。",
        "根据光谱判断，这颗行星的大气里可能有水蒸气，不过表面温度太高，不适合生命存在。",
    ),
    (
        "奶奶每年冬天都要腌一大缸白菜，先把菜晒蔫，一层菜撒一层盐，最后压上一块洗净的大石头。",
        "过上一个月，揭开缸盖，酸菜的味道满院子都是，切成丝和五花肉一起炖，能吃到开春。",
    ),
    (
        "由于受到台风影响，沿海三个机场取消了今天下午的全部航班，两千多名旅客滞留在候机楼。",
        "航空公司表示，旅客可以免费改签或者退票，并为等待的乘客安排了住宿和晚餐。",
    ),
)

ENGLISH: tuple[tuple[str, str], ...] = (
    ("The kettle is boiling.", "Shall I make some tea?"),
    ("She lost her keys again.", "Now she cannot open the front door."),
    ("My bicycle has a flat tyre.", "I will pump it up before I ride home."),
    ("The baby started to cry.", "Her mother picked her up and sang."),
    ("Our team scored twice.", "We won the match."),
    ("This phone is terrible.", "The battery dies within two hours."),
    ("He studied all night.", "In the morning he passed the exam."),
    ("The soup tastes bland.", "Add some salt and pepper."),
    (
        "The council voted to close the old bridge to cars, because inspectors found cracks in two of its pillars.",
        "Drivers will have to use the tunnel until the bridge has been repaired, which is expected to take a year.",
    ),
    (
        "The library keeps all its settings in one text file, which it reads once when the program starts.",
        "If you change the file while the program is running, restart it, or the new settings will not be used.",
    ),
    (
        "Honey bees find flowers by colour and smell, and a bee that has found many dances on her return to the hive.",
        "The angle of the dance tells the other bees in which direction to fly, and its length tells them how far.",
    ),
    (
        "The company reported that its profit fell by a third in the spring, since fewer people bought new computers.",
        "Its shares lost eight per cent, and the chief executive announced that two factories would be closed.",
    ),
    (
        "The old painting hung in the dining room for eighty years before anyone looked at its signature.",
        "When the canvas was cleaned, experts recognised the hand of a famous artist, and it was sold at auction.",
    ),
    (
        "After the storm the farmers walked through their fields and saw that hail had flattened most of the wheat.",
        "The insurance will pay for a part of the lost harvest, but the price of bread is likely to rise.",
    ),
    (
        "The doctor explained that the tablets must be taken with food, twice a day, for at least ten days.",
        "Patients who stop the treatment early often fall ill again, because some of the bacteria survive.",
    ),
    (
        "The train to the coast leaves from platform four at nine, and it stops at every village along the river.",
        "Passengers who are in a hurry should take the express at ten, which arrives half an hour earlier.",
    ),
)

PAIRS: dict[str, tuple[tuple[str, str], ...]] = {"Chinese": CHINESE, "English": ENGLISH}
