"""The sentences that the student learns from: a grammar of our own, sampled.

``(a|b|)`` is one of the alternatives, ``<name>`` one of a list. A sentence is drawn, not enumerated: the language has
millions. What people really say is measured elsewhere, on sentences written by hand that nothing learns from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from ironwok.home.actions import Action

REFUSE = "refuse"

_LISTS: Mapping[str, Sequence[str]] = {
    "machine": "投影|投影仪|投影机|极米|机器|投影设备|投影仪器|家里的投影|客厅的投影|卧室投影".split("|"),
    "hey": [""] * 8 + "小爱同学|小爱|请|请你|帮我|帮忙|麻烦|麻烦你|给我|能不能|可以|可不可以|来|那就|现在|快|赶紧|马上|你|我要|我想|好了|喂|劳驾".split("|"),
    "end": [""] * 9 + "吧|一下|好吗|好不好|行吗|谢谢|呗|啊|了|嘛|可以吗|啦".split("|"),
    "polite": [""] * 8
    + "please |can you |could you |hey |ok |now |would you |just |can you please |I want to |let's |go ahead and |kindly |i'd like to ".split("|"),
    "thanks": [""] * 8 + " please| now| thanks| thank you| for me| for a second| for a moment| would you| okay".split("|"),
    "n": "一|两|三|四|五|六|七|八|九|十|1|2|3|4|5|6|8|10".split("|"),
    "num": "one|two|three|four|five|six|seven|eight|ten|1|2|3|4|5|6".split("|"),
    "unit": "格|下|档|级|步|次|个|个格|挡|度".split("|"),
    "times": "times|steps|notches|levels|clicks|more".split("|"),
    "sound": "声音|音量|声|音|喇叭声|扬声器音量|外放|投影的声音|投影音量|电影声音|这声音".split("|"),
    "sounden": "volume|sound|audio|the volume|the sound|the audio|the projector volume|the speakers".split("|"),
    "few": "一点|点|点儿|一些|些|一点点|一丢丢|许多|很多|不少|一截|一下|".split("|"),
    "film": "电影|片子|视频|影片|电视剧|这一集|节目|画面|动画片|剧|".split("|"),
    "filmen": "movie|film|video|show|episode|playback|picture|stream|it|this".split("|"),
    "wait": "十分钟|20分钟|三十分钟|半小时|半个小时|一小时|一个小时|一个半小时|两小时|两个小时|三个小时|四十五分钟|5分钟|一刻钟|90分钟|十五分钟|二十五分钟|40分钟".split("|"),
    "waiten": "ten minutes|20 minutes|half an hour|an hour|one hour|two hours|45 minutes|fifteen minutes|a quarter of an hour|thirty minutes|ninety minutes|three hours|5 minutes".split("|"),
    "src": "HDMI1|HDMI2|HDMI 1|HDMI 2|hdmi一|hdmi二|HDMI三|HDMI 3|USB|usb|U盘|优盘|HDMI|AV|电脑信号|游戏机|机顶盒".split("|"),
    "srcen": "HDMI 1|HDMI 2|hdmi one|hdmi two|HDMI1|HDMI2|hdmi three|USB|usb|the usb stick|hdmi 3".split("|"),
    "device": (
        "灯|客厅的灯|卧室灯|台灯|空调|电视|电视机|窗帘|电脑|手机|音箱|音响|风扇|加湿器|热水器|电饭煲|洗衣机|扫地机器人|门锁|车库门|空气净化器|"
        "油烟机|暖气|地暖|冰箱|微波炉|烤箱|门|窗户|插座|路由器|摄像头|吸顶灯|落地灯|灯带|浴霸|新风|净水器|投屏软件|蓝牙耳机|收音机|平板|笔记本|洗碗机|马桶|鱼缸|闹钟|电风扇|晾衣架"
    ).split("|"),
    "deviceen": (
        "light|kitchen light|lights|lamp|bedroom lamp|tv|television|air conditioner|ac|heater|heating|fan|thermostat|blinds|curtains|"
        "oven|vacuum|robot vacuum|washing machine|door|garage door|phone|computer|laptop|speaker|stereo|radio|camera|alarm|router|coffee machine|"
        "humidifier|dishwasher|sprinkler|printer|car|shower|tablet|fireplace|kettle"
    ).split("|"),
    "who": "他|她|我妈|小明|老师|邻居|孩子|你|我们|爸爸|有人|谁|朋友|隔壁|我".split("|"),
    "when": "昨天|昨晚|上周|前天|刚才|去年|早上|上个月|那天|下周|明天|今天".split("|"),
    "song": "一首歌|轻音乐|周董的歌|儿歌|摇滚|古典音乐|民谣|这首曲子|流行歌曲|评书|相声|广播|新闻|有声书|故事|钢琴曲|中央一台|湖南卫视|体育频道|足球比赛|动漫|纪录片|韩剧|武侠片|美剧|春晚|NBA|球赛".split("|"),
    "place": "北京|上海|公司|机场|火车站|学校|超市|医院|广州|家|公园|银行|加油站|酒店|厕所|地铁站|动物园".split("|"),
    "app": "微信|淘宝|浏览器|地图|相机|计算器|日历|支付宝|抖音|邮箱|游戏|百度|设置里的蓝牙|音乐软件|网易云|腾讯视频|知乎|京东|滴滴".split("|"),
    "dish": "红烧肉|番茄炒蛋|鱼香肉丝|饺子|蛋糕|牛排|粥|面条|排骨|火锅|豆腐|土豆丝|寿司|奶茶|花生|茄子|鸡翅|糖醋鱼".split("|"),
    "what": "天气|股票|汇率|路况|空气质量|新闻|彩票|比分|火车票|机票|快递|日程|电费|房价|油价|作业|成绩|航班|酒店|节目单|公交|菜价".split("|"),
    "name": "李雷|王芳|妈妈|老板|张三|客户|同事|小李|外婆|房东|快递员|刘老师|哥哥".split("|"),
    "verb": "买|修|借|卖|换|装|擦|搬|挑|推荐|比较|设计|拍|画|写|背|学|研究|介绍|讲|唱|做|找|订|查|算|翻译".split("|"),
    "chat": (
        "你好|你是谁|晚安|早安|再见|谢谢|哈哈|嗯|啊|哦|好的|行|对|不对|那个|这个|什么|为什么|怎么办|真的吗|是吗|算你厉害|你真聪明|我饿了|我累了|好无聊|好冷|好热|有点困|你几岁|你在干嘛|"
        "我喜欢你|生日快乐|新年好|下雨了|天黑了|肚子疼|头疼|我回来了|吃饭了|没事|随便|等等|等一会儿|再说|就那样|你觉得呢|怎么回事|呃|额|这|那|啥|咋了|有人吗|在吗|你听得见吗|别说话|闭嘴|太好了|糟糕"
    ).split("|"),
    "chaten": (
        "hello|hi|good night|good evening|thanks a lot|who are you|how are you|i am hungry|i am tired|what|why|yes|no|okay|hmm|uh|well|you know|"
        "are you there|i love you|happy birthday|it is raining|that is funny|nice|never heard of it|whatever|shut up|what's your name|can you hear me|"
        "is anyone home|i'm cold|it's late|sorry|bye|see you|really|so what|maybe|the thing|this one here is nice|hold my beer"
    ).split("|"),
}  # fmt: skip

_COMMANDS: Mapping[str, Sequence[str]] = {
    Action.POWER_ON: [
        "<hey>(打开|开启|启动|开|开开|打开一下|开一下|唤醒|叫醒)<machine><end>",
        "<hey>(把|将)<machine>(打开|开启|启动|开开|开一下|开起来|点亮|弄开|给打开|给开了|开机)<end>",
        "<hey><machine>(开机|打开|启动|开启|开开|开一下|上电)<end>",
        "<hey>(开机|开个机|开下机|通电开机)<end>",
        "(我要|我想|准备|咱们|该|一起)(看电影|看片|看电视剧|上课|开会|看球|追剧|投屏)(了|)(把|)(打开|开|启动)<machine><end>",
        "(我要|我想|准备|咱们)(看电影|看片|看个片|追剧|看球)(了|)把<machine>(打开|开开|启动)<end>",
        "<machine>(怎么|咋)(还没|没)(开|打开|启动)(快|赶紧|)(打开|开)<end>",
        "<hey>让<machine>(开机|启动|工作)<end>",
        "<hey>(开始放映|影院模式启动|开始投影)<end>",
        "<polite>(turn on|switch on|power on|power up|start|start up|boot|boot up|fire up|wake|wake up|activate|get) the projector( on| up|)<thanks>",
        "<polite>(turn|switch|power|wake|put|get) the projector (on|up)<thanks>",
        "(projector|beamer|the projector) (on|start|power on|up)<thanks>",
        "(movie time|film night|it's movie time|let's watch something) (turn on|start|fire up|switch on) the (projector|beamer)",
        "(turn on|start|fire up|switch on|power on) the (projector|beamer) (it's |)(movie time|film time|movie night|for the movie)",
        "<polite>(power on|turn it on|switch it on|start it up|wake it up)<thanks>",
        "<polite>(turn on|start|switch on|wake) (the beamer|my projector|xgimi|the xgimi)<thanks>",
    ],
    Action.POWER_OFF: [
        "<hey>(关|关掉|关闭|关上|关了|关一下|关下|停掉|熄掉|断掉)<machine><end>",
        "<hey>(把|将)<machine>(关|关掉|关闭|关上|关了|关一下|停了|熄了|给关了|给关掉|关机)<end>",
        "<hey><machine>(关机|关掉|关闭|关了|可以关了|该关了|关一下|关下|下班了)<end>",
        "<hey>(关机|关个机|关下机|关一下机|关闭电源|现在关机)<end>",
        "(不看了|看完了|电影放完了|片子看完了|放完了|该睡觉了|睡觉了|我要睡了|要出门了|困了|结束了|没人看了|散场了)(把|)<machine>(关|关掉|关了|关一下|关机)<end>",
        "(不看了|看完了|电影放完了|该睡觉了|睡觉了|我要睡了|要出门了|困了|结束了)(关|关掉|关了|关闭)<machine><end>",
        "(不看了|看完了|该睡了|困了)(关机|关了吧|关掉吧)",
        "<wait>(后|以后|之后)<hey>(关机|关掉<machine>|把<machine>关了|自动关机|关<machine>|关闭<machine>|把<machine>关掉|自动把<machine>关了)<end>",
        "<hey>(过|再过|等|再等)<wait>(后|以后|就|再|)(关机|关掉<machine>|把<machine>关了|把<machine>关掉|关<machine>)<end>",
        "<hey>(定时|设置定时|设个定时)<wait>(后|以后|)(关机|关<machine>)<end>",
        "<hey>(定时关机|睡眠定时|设定)<wait>(关机|)<end>",
        "<machine><wait>(后|以后|之后)(关机|关掉|关闭|自动关)<end>",
        "<polite>(turn off|switch off|power off|shut down|shut off|power down|kill|stop|deactivate) the (projector|beamer)<thanks>",
        "<polite>(turn|switch|shut|power|put) the (projector|beamer) (off|down)<thanks>",
        "<polite>(turn|switch|shut|power) (it|the thing|this) (off|down)(<thanks>| we're done| we are finished| i'm going to bed| the movie is over)",
        "(projector|beamer) (off|shut down|power off)<thanks>",
        "<polite>(power off|shut down|turn off|switch off|power down)<thanks>",
        "(we're done|the movie is over|i'm done watching|bed time|good night|time for bed|we are done watching) (turn off|shut down|switch off) the (projector|beamer)",
        "<polite>(turn off|switch off|shut down|power off|power down) (the projector|the beamer|it|) (in|after) <waiten>",
        "<polite>(turn|switch|shut) (the projector|it|the beamer) (off|down) (in|after) <waiten>",
        "(in|after) <waiten> (turn off|shut down|switch off) the (projector|beamer)",
        "<polite>(set a sleep timer|sleep timer|set the off timer) (for|of|to) <waiten>",
    ],
    Action.VOLUME_UP: [
        "<hey>(把|将|)<sound>(调|开|弄|放|搞|拧|加|再调|再开)(大|高|响)<few><end>",
        "<hey><sound>(再|)(大|高|响)(一点|点|点儿|一些|些|一点点)<end>",
        "<hey>(大|响|高)(点|一点|些)(声|声音|音量|)<end>",
        "<hey>(大声|大点声|大声点|大声一点|再大声点|更大声|响一点|再响点|响亮一些|再大点|放大声)<end>",
        "(太小声了|声音太小了|声音太小|音量太低了|音量太小|听不清|听不到|听不见|听不清楚|声音有点小|声音小了|太轻了|没听清|声音太小了听不清|声音太小听不见)<end>",
        "(听不清|听不到|听不见|听不清楚)(把|)(声音|音量|)(大|调大|开大|大声|调高)(点|一点|些|)<end>",
        "<hey>(增大|加大|提高|升高|调高|调大|放大|增加|加|提升|升|加点|加一点|加些)<sound><few><end>",
        "<hey><sound>(增大|加大|提高|调高|调大|增加|加|升|升高|往上调|向上调|往大调|上调|提升)<few><end>",
        "<hey>(把|)<sound>(调大|调高|加大|增加|加|升高|往上调|提高|上调|大|增大|升)<n><unit><end>",
        "<hey>(加|升|调高|调大|增加|加大)<n><unit>(音量|声音)<end>",
        "(音量加|音量增|声音加|音量加加|声音往上)<end>",
        "<sound>(有点|有些|太|好|)(小|轻|低)(了|)(再|)(调高|调大|开大|大|高)(些|点|一点)<end>",
        "<sound>(有点|有些|稍微有点|好像有点)(小|轻|低)<end>",
        "<polite>(turn|crank|bring|put|pump|push|move) <sounden> up( a bit| a little| a lot| some| a notch| more|)<thanks>",
        "<polite>(turn up|crank up|raise|increase|boost|pump up|up|bring up|push up) <sounden>( a bit| a little| a lot| some| a notch| more|)<thanks>",
        "<polite>(turn it up|make it louder|louder|a bit louder|much louder|a little louder|speak up|crank it up|more volume|a bit more volume|some more volume|more sound|a little more sound)<thanks>",
        "(i can't hear|i can't hear it|i can barely hear it|it's too quiet|too quiet|way too quiet|a bit too quiet|i can barely hear that|i can hardly hear it|can barely hear anything|the sound is too low|it is too soft|the volume is too low|can't hear a thing|can't hear anything)( turn it up| make it louder| louder| raise the volume|)<thanks>",
        "<polite>(volume|sound) (up|higher|louder|plus)( by|) (<num>|<num> <times>|a bit|a little|)<thanks>",
        "<polite>(raise|increase|turn up|boost) <sounden>( by|) <num> (<times>|)<thanks>",
        "<polite>turn <sounden> up( by|) <num> (<times>|)<thanks>",
        "<polite>(volume|sound) up<thanks>",
    ],
    Action.VOLUME_DOWN: [
        "<hey>(把|将|)<sound>(调|开|弄|放|关|搞|拧|降|再调|往小调)(小|低|轻)<few><end>",
        "<hey><sound>(再|)(小|低|轻)(一点|点|点儿|一些|些|一点点)<end>",
        "<hey>(小|轻|低)(点|一点|些)(声|声音|音量|)<end>",
        "<hey>(小声|小点声|小声点|小声一点|再小声点|轻一点|轻点|安静点|安静一点|再小点|再轻点)<end>",
        "(太吵了|声音太大了|太大声了|声音太大|音量太高了|吵死了|太响了|有点吵|声音有点大|震耳朵|太吵|好吵|吵到孩子了|吵到邻居了|音量太大)<end>",
        "(太吵了|声音太大了|太响了|孩子睡了|宝宝睡着了|别吵到邻居|夜深了|有人在睡觉)(小声|小点声|轻点|轻一点|小声一点|声音小点|调小|把声音调小)(点|一点|)<end>",
        "(小声|轻|小点声|声音小)(点|一点|)(孩子睡了|宝宝睡着了|有人睡觉|夜深了|太吵)<end>",
        "(别|不要)(这么|那么|太)(大声|吵|响)(了|)<end>",
        "<hey>(减小|减少|降低|调低|调小|缩小|减|降|减低|压低|减点|减一点)<sound><few><end>",
        "<hey><sound>(减小|减少|降低|调低|调小|减|降|往下调|向下调|往小调|下调|往下降|往低调)<few><end>",
        "<hey>(把|)<sound>(调小|调低|减小|减少|减|降低|往下调|降|下调|小|减低)<n><unit><end>",
        "<hey>(减|降|调低|调小|降低|减小)<n><unit>(音量|声音)<end>",
        "(音量减|声音减|音量减减|声音往下)<end>",
        "<sound>(有点|有些|太|好|)(大|响|高|吵)(了|)(再|)(调低|调小|关小|小|低|轻)(些|点|一点)<end>",
        "<sound>(有点|有些|稍微有点|好像有点)(大|响|高|吵)<end>",
        "<polite>(turn|bring|put|push|dial|move) <sounden> down( a bit| a little| a lot| some| a notch| more|)<thanks>",
        "<polite>(turn down|lower|reduce|decrease|bring down|drop|dial down|cut) <sounden>( a bit| a little| a lot| some| a notch| more|)<thanks>",
        "<polite>(turn it down|make it quieter|quieter|a bit quieter|much quieter|a little quieter|softer|make it softer|make it a little quieter|less volume|not so loud|less sound|turn it down a bit|turn it down a notch)<thanks>",
        "(it's too loud|too loud|way too loud|a bit too loud|much too loud|this is too loud|that's too loud|it is way too loud|the sound is too high|the baby is asleep|the kids are sleeping|the volume is too high)( turn it down| make it quieter| quieter| lower the volume|)<thanks>",
        "<polite>(volume|sound) (down|lower|quieter|minus)( by|) (<num>|<num> <times>|a bit|a little|)<thanks>",
        "<polite>(lower|decrease|turn down|reduce) <sounden>( by|) <num> (<times>|)<thanks>",
        "<polite>turn <sounden> down( by|) <num> (<times>|)<thanks>",
        "<polite>(volume|sound) down<thanks>",
    ],
    Action.MUTE: [
        "<hey>(静音|消音|静个音|静一下音|静下音|开静音|打开静音|开启静音|设为静音|调成静音|调静音|切静音)<end>",
        "<hey>(取消|解除|关闭|关掉|退出|去掉|结束)(静音|消音|静音模式)<end>",
        "<hey>(把|将)(声音|音量|投影声音)(关掉|关了|关闭|静音|去掉|停掉|关上)<end>",
        "<hey>(关掉|关闭|去掉|停掉|关)(声音|音量)<end>",
        "<hey>(恢复|打开|开启)(声音|音量|有声)<end>",
        "(接个电话|来电话了|有电话|孩子睡了|先别出声|别出声|不要声音|不要出声)(先|)(静音|静一下音|把声音关掉|关掉声音|静音一下)<end>",
        "<hey><machine>(静音|取消静音|消音)<end>",
        "<hey>(把|)(声音|音)(静掉|消掉|没收|静了)<end>",
        "(别出声|不要出声|不要声音|没有声音模式)<end>",
        "<polite>(mute|unmute|silence)( it| the projector| the sound| the audio| the movie| everything| the volume|)<thanks>",
        "<polite>(turn|switch) (the sound|the audio|sound) (off|back on|on again)<thanks>",
        "<polite>(turn off|cut|kill|switch off|turn back on|restore|bring back) (the sound|the audio|sound|audio)<thanks>",
        "<polite>(sound off|sound back on|no sound|audio off|audio back on|mute on|mute off|toggle mute|press mute|go silent)<thanks>",
        "(phone call|i have a call|someone is calling|hang on i have a call) mute( it|)",
    ],
    Action.PLAY_PAUSE: [
        "<hey>(暂停|暂停一下|暂停播放|先暂停|停一下|先停一下|停住|停一停|停播|定住)<end>",
        "<hey>(继续|继续播放|接着放|接着播|继续放|恢复播放|播放|开始播放|接着看|继续看|放吧|继续播|往下放)<end>",
        "<hey>(把|将)(<film>)(暂停|停住|停一下|先停了|暂停了|停下来|先停一停)<end>",
        "<hey>(<film>)(暂停|停一下|继续|继续播放|先停住|接着放|继续放|先停一下)<end>",
        "<hey>(暂停|继续播放|继续放|接着放|继续|播放|恢复播放)(<film>)<end>",
        "(我去|我要去|去)(倒杯水|上个厕所|开门|拿外卖|接电话|洗手|拿点吃的|喝水|上厕所|倒水|接个电话)(先|)(暂停|停一下|暂停一下|先暂停|停住)<end>",
        "(等一下|等等|等我一下|稍等)(先|)(暂停|停一下|暂停播放|停住|暂停一下)<end>",
        "(好了|我回来了|可以了|可以继续了|行了)(继续|接着放|播放|继续播放|播放吧|放吧)<end>",
        "<hey>(按|点)(一下|)(播放键|暂停键|播放|暂停)<end>",
        "<polite>(pause|resume|unpause|continue|halt|freeze|hold)( the|) (<filmen>|)<thanks>",
        "<polite>(pause|resume|play|unpause|continue|carry on|keep playing|play on|press play|hit play|hit pause|press pause|continue playing|resume playback|start playing)<thanks>",
        "<polite>(hold|stop|pause|freeze) the (movie|film|video|show|episode|playback) (for a moment|for a second|here|now|briefly|)",
        "<polite>(continue|resume|restart|keep on) (watching|playing|the movie|the film|the video|the show)<thanks>",
        "(i'm back|okay i'm back|ready|alright) (resume|continue|play|keep playing)",
        "(i need a break|bathroom break|someone's at the door|one moment|wait) (pause|pause it|hold the movie|pause the film)",
    ],
    Action.OK: [
        "<hey>(确定|确认|确认一下|选择|选中|点确定|按确定|按确认|点击确定)<end>",
        "<hey>(按|点|点一下|按一下|点击|敲|摁)(确定|确认|确定键|确认键|OK|OK键|中间键|中间那个键|中间的键|回车|回车键)<end>",
        "<hey>(就|)(选|点|要|选择|进入|打开)(这个|它|这一项|这一个|这部|当前这个|选中的|这一条)<end>",
        "(好|行|对|嗯|可以)(就这个|确认|确定|选这个|就它|选它了)<end>",
        "<hey>(选中|点开|进入|点进|选定)(它|这个|这一项|这一个|当前项)<end>",
        "(就这个|就它|就它了|就这个吧|进去|点进去|选这个|确认选择|确定选择|确认进入)<end>",
        "<polite>(press|hit|click|tap|push) (ok|okay|enter|select|confirm|the ok button|the middle button|the enter key|the center key|the select button)<thanks>",
        "<polite>(select|choose|pick|take|click|enter) (this|that|it|this one|that one|this item|the selected one|this option|the highlighted one)<thanks>",
        "<polite>(confirm|select|enter|okay select|confirm it|confirm that|confirm the selection|confirm selection|yes confirm|choose it)<thanks>",
    ],
    Action.BACK: [
        "<hey>(返回|后退|退出|退回|退一步|退出去|返回一下|退回去|往回退|倒回去|回退|退出来|返回去)<end>",
        "<hey>(返回|回到|退到|退回|退回到|返回到|回)(上一级|上一页|上一层|上级|前一页|前一个界面|上一个界面|上个页面|上一步|上级菜单|上一级菜单|上一个画面|刚才的页面|前一级)<end>",
        "<hey>(按|点|按一下|点一下|摁)(返回|返回键|后退|后退键|退出键|返回按钮)<end>",
        "(上一级|上一页|上一层|上一步|上一级菜单|前一页)<end>",
        "<hey>(往回|向后|往后)(退|走)(一步|一级|一层|一页|)<end>",
        "<hey>(退出|离开)(这个|当前|)(页面|界面|画面|应用|播放)<end>",
        "<polite>(go back|back|return|step back|go one back|back up|go back one|back one level|take me back|exit|back out|go back please|leave this page|exit this page)<thanks>",
        "<polite>(go|take me|get|return|bring me) (back |)(to|) (the|) (previous|last|prior) (screen|page|menu|level|view|step)<thanks>",
        "<polite>back to (the|) (previous|last|prior) (screen|page|menu|level|view)<thanks>",
        "<polite>(press|hit|push|click) (back|the back button|the back key|return|exit)<thanks>",
        "<polite>(exit|leave|close|quit) (this|the|the current) (screen|page|app|view|window)<thanks>",
    ],
    Action.HOME: [
        "<hey>(回|回到|返回|返回到|去|到|退到|切到|切回|打开|跳到|转到|直接回|直接到)(主页|首页|主界面|主页面|桌面|主屏幕|主屏|主菜单首页|起始页|开机画面|投影主页|投影首页|投影桌面|最开始的界面)(去|)<end>",
        "<hey>(按|点|按一下|点一下|摁)(主页|主页键|home键|home|首页键|房子键|小房子)<end>",
        "(主页|首页|主界面|桌面|主屏幕|主页面)<end>",
        "<hey>(显示|看)(主页|首页|主界面|主屏幕|桌面)<end>",
        "<polite>(go|go back|take me|return|get|bring me|jump|back) (to the|to|) (home screen|home page|homepage|main screen|main page|launcher|start screen|desktop)<thanks>",
        "<polite>(home|go home|home screen|home page|main screen|take me home|homepage|go to home|back home|return home)<thanks>",
        "<polite>(press|hit|push|click) (home|the home button|the home key|the house button)<thanks>",
        "<polite>(show|open|display) (me|) (the|) (home screen|home page|main screen|launcher|desktop)<thanks>",
    ],
    Action.MENU: [
        "<hey>(打开|调出|显示|弹出|呼出|叫出|开|进入|看|唤出|关掉|关闭|收起|隐藏|打开一下)(菜单|设置菜单|菜单栏|选项菜单|主菜单|投影菜单|选项|功能菜单|快捷菜单|菜单选项)<end>",
        "<hey>(按|点|按一下|点一下|摁)(菜单|菜单键|菜单按钮|设置键)<end>",
        "<hey>(把|将)(菜单|设置菜单|选项菜单|菜单栏)(打开|调出来|叫出来|弹出来|显示出来|关掉|收起来|开一下)<end>",
        "(菜单|设置菜单|菜单键|选项菜单)(打开|出来|打开一下|)<end>",
        "<polite>(open|show|bring up|display|pull up|call up|close|hide|pop up|get|see|give me|show me) (the|) (menu|settings menu|options menu|option menu|main menu|projector menu|setup menu|menu bar)<thanks>",
        "<polite>(press|hit|push|click) (menu|the menu button|the menu key)<thanks>",
        "<polite>(menu|menu button|the menu|settings menu|menu please|options menu)<thanks>",
    ],
}  # fmt: skip

_DIRECTIONS: Mapping[Action, tuple[str, str, str]] = {
    Action.UP: ("上", "上面|上边|上头|上方", "up"),
    Action.DOWN: ("下", "下面|下边|下头|下方", "down"),
    Action.LEFT: ("左", "左边|左面|左侧|左方", "left"),
    Action.RIGHT: ("右", "右边|右面|右侧|右方", "right"),
}
_DIRECTION_TEMPLATES = [
    "<hey>(往|向|朝|再往|再向|再朝)D(移|移动|走|挪|去|按|选|一点|一下|翻|滚|)(一点|一下|一格|)<end>",
    "<hey>(往|向|朝)D(移|移动|走|挪|按|选|翻|)<n>(格|下|个|步|次|行|项)<end>",
    "<hey>D移(<n>(格|下|个|步|次|行|项)|)<end>",
    "<hey>(按|点|摁)(<n>(下|次)|一下|)(D|D键|D方向键|向D键|D边的键)(<n>(下|次)|)<end>",
    "<hey>(方向键|光标|焦点框|选择框|光标往|光标向|光标朝|焦点往)D(走|移|挪|移动|一格|<n>格|)<end>",
    "<hey>(再|)(往|)(S)(一个|那个|移一个|一格|走|一点|挪一点|)<end>",
    "<hey>(选|选择|点|看|要)(S)(那个|的|的那个|一个|这个|的一项|)<end>",
    "(S)(那个|一个|的|的那个)<end>",
    "(D|向D|往D|朝D|D键)<end>",
]
_DIRECTION_TEMPLATES_EN = [
    "<polite>(move|go|scroll|navigate|step|shift|jump) E( a bit| a little| one| once| twice| one more| again| please|)<thanks>",
    "<polite>(move|go|scroll|navigate|step|shift) E( by|) <num>( times| steps| rows| items| more|)<thanks>",
    "<polite>(press|hit|push|tap) (E|the E key|the E button|the E arrow|E arrow)( once| twice| <num> times| again|)<thanks>",
    "<polite>(E|E arrow|arrow E|cursor E|one E|a step E|one more E|E once|E twice|E again|one step E|E one|a couple E)<thanks>",
    "<polite>E <num>( times| steps| more|)<thanks>",
    "<polite>(move|put|take|bring|shift) the (cursor|selection|highlight|focus box) (E|to the E)( one| a bit| twice|)<thanks>",
    "<polite>(<num>|one|a couple|a few) (steps |more |)E<thanks>",
    "<polite>scroll E( a couple| a few| some more| <num> times|)<thanks>",
]
_SIDEWAYS_TEMPLATES_EN = [
    "<polite>(cursor|one|move|go|two|a step|one more|select the one|next one|the one|<num>) to the E<thanks>",
]

_MORE_COMMANDS: Mapping[str, Sequence[str]] = {
    Action.FOCUS: [
        "<hey>(对焦|自动对焦|调焦|对一下焦|对个焦|聚焦|自动聚焦|重新对焦|重新聚焦|校焦|调焦距|调整焦距|调节焦距|校正焦距|调一下焦|再对一次焦|变焦校正)<end>",
        "<hey>(做|来|进行|执行|开始|打开|启动)(一次|一下|)(对焦|自动对焦|聚焦|自动聚焦|调焦)<end>",
        "(画面|图像|屏幕|字|字幕|投影|影像|显示)(有点|太|很|好|)(模糊|糊|虚|不清楚|看不清|不清晰|花|虚焦)(了|)(对焦|对一下焦|调一下|调清楚|重新对焦|调焦|帮我对焦|)<end>",
        "<hey>(把|将)(画面|图像|屏幕|焦点|焦距|清晰度|投影画面)(调清楚|调清晰|对焦|调一下|对一下|弄清楚|调一调|对准|调整一下)<end>",
        "(看不清|看不清字|看不清楚|有点糊|糊了|画面糊|太模糊了|虚了|字看不清)(对焦|对一下焦|调一下|调清楚点|帮我对焦|)<end>",
        "<hey>(调|调整|调节)(一下|)(清晰度|焦距|焦点|对焦|画面清晰度)<end>",
        "<machine>(对焦|自动对焦|聚焦|调焦|不清楚|不清晰|模糊了|糊了)<end>",
        "<hey>(焦点|焦距|清晰度)(调一调|调一下|校正|对一下|调整)<end>",
        "<polite>(focus|autofocus|auto focus|refocus|re-focus|focus again|adjust the focus|fix the focus|sharpen the picture|sharpen the image|sharpen the focus|run autofocus|do an autofocus|correct the focus)<thanks>",
        "<polite>(focus|refocus|sharpen|autofocus|clear up) (the|) (picture|image|screen|projector|display|lens|projection)<thanks>",
        "(the|) (picture|image|screen|projection|text|display) (is|looks|got|seems) (blurry|blurred|fuzzy|out of focus|not sharp|unclear|unsharp)( focus it| refocus| fix it| autofocus| fix the focus|)<thanks>",
        "(it's|it is|this is) (blurry|out of focus|fuzzy|not sharp|blurred)( focus| fix it| refocus|)<thanks>",
    ],
    Action.SOURCE: [
        "<hey>(换|切|切换|转|改|跳|调|换到|切到|切换到|转到|改到|切换成|换成|切成|选择|选|打开|使用|用|进入)(到|成|为|)<src>(接口|口|输入|信号|信号源|画面|)<end>",
        "<hey>(把|将|)(信号源|输入|输入源|信源|信号|输入信号|源|信号输入|投影输入)(换|切|切换|改|调|换到|切到|选|设|转)(到|成|为|)<src>(接口|口|)<end>",
        "<hey>(看|显示|播放|放|我要看)<src>(的画面|上的内容|的信号|里的电影|接口|画面|的内容)<end>",
        "<hey>(用|从)<src>(播放|放|看|输入|)<end>",
        "<machine>(切|换|切换|切到|换到|转到)(到|)<src><end>",
        "<src>(接口|输入|信号|信号源|)<end>",
        "<hey>(输入|信号源|信源)<src><end>",
        "<polite>(switch|change|go|set|move|flip|put it|turn|change over|swap|jump|change it) (to|over to|on|on to) <srcen>( input|)<thanks>",
        "<polite>(switch|change|set|put|flip) (the|) (input|source|signal|input source) (to|over to|on) <srcen><thanks>",
        "<polite>(input|source) <srcen><thanks>",
        "<polite>(use|select|choose|show|open|play from|show me|pick|watch|display) <srcen>( input| source|)<thanks>",
        "<polite>(show|show me|watch|display) (what's on|what is on|the picture from|the signal from) <srcen>",
        "<srcen><thanks>",
    ],
    Action.CANCEL: [
        "<hey>(取消|撤销|算了|停止|终止|中止|作罢)(操作|刚才的操作|刚才的命令|命令|这个操作|上一个命令|当前操作|指令|)<end>",
        "<hey>(取消|撤销|去掉|不要|停掉|删掉|解除|关掉)(定时|定时关机|关机定时|定时器|关机计划|刚才的定时|延时关机|睡眠定时|投影的定时)(了|)<end>",
        "(算了|不用了|别弄了|我改主意了|我反悔了|先不|等等|别等了|不关了|不开了|不用关了|不用开了)(取消|撤销|别弄了|停下|停|取消吧|别关了|别开了|不用了)<end>",
        "<hey>(把|将)(定时|定时关机|刚才的操作|刚才的命令|关机定时)(取消|撤销|取消掉|取消了|停掉|去掉)<end>",
        "(算了|不用了|算了吧|作罢|取消吧|停下来别弄了|别弄了)<end>",
        "<hey>(停止|停下|终止)(正在做的|当前|刚才的|现在的)(操作|命令|任务|动作|事)<end>",
        "<polite>(cancel|abort|stop|undo|forget|drop|clear|remove|delete) (the|that|this|) (timer|sleep timer|shutdown|shutdown timer|off timer|command|last command|operation|action|scene|countdown)<thanks>",
        "<polite>(cancel|abort|cancel it|cancel that|abort that|cancel everything|stop that|stop what you're doing|stop it|forget it|forget that)<thanks>",
        "(never mind|nevermind|no never mind|oh never mind|never mind that|forget it)<thanks>",
        "(never mind|nevermind|changed my mind|i changed my mind|no wait|wait no|scratch that)( cancel| abort| cancel that| forget it| stop|)",
    ],
    Action.STATUS: [
        "<hey><machine>(开着吗|开着没|开了吗|开了没有|关了吗|关了没|关了没有|关机了吗|开机了吗|有没有开|有没有关|有没有关好|是开着的吗|是不是开着|是不是关了|还开着吗|还在运行吗|在运行吗|现在开着吗|关好了吗|关好没有)",
        "<hey><machine>(现在|目前|当前|)(是|)(什么|啥|怎样的)(状态|情况)",
        "<hey>(看看|看一下|查一下|查看|检查|检查一下|报告|报告一下|告诉我|汇报|汇报一下|说一下|确认一下)<machine>(的|)(状态|情况|运行状态|开关状态|关了没有|开着没有|开了没有|开没开|关没关|功率|功耗|用电|用了多少瓦|耗电)",
        "<machine>(状态|运行状态|开关状态|功率|功耗|耗电|用电)(是|)(多少|怎么样|如何|什么|几瓦|)",
        "(现在|目前|当前|)(功率|功耗|用电|电力)(是|)(多少|几瓦|多少瓦)",
        "<machine>(现在|)(用|耗|用了|耗了)(多少|几)(瓦|电|度电)",
        "<machine>(现在|)是(开的还是关的|开着还是关着|关着还是开着|开还是关)",
        "(is|was) the (projector|beamer) (on|off|running|still on|turned on|turned off|up|powered on|switched off|still running|ready|really off)",
        "(did|has) the (projector|beamer) (turn off|turned off|shut down|turn on|start|started|switch off|power off|boot)",
        "<polite>(projector status|status|status of the projector|status report|check the projector|report the status|check the status|what's the status|give me the status|projector state|check the projector status)<thanks>",
        "(what is|what's|what) (the projector|the beamer) (doing|state|status|up to)",
        "what (state|status) is the projector in",
        "(how many watts|how much power|what power|how much electricity) (is|does) (the projector|it|the beamer) (drawing|draw|using|use|consuming|consume|pulling)",
        "(is it|is it still) (on|off|running|still on|up)",
    ],
}  # fmt: skip

_REFUSED = [
    "<hey>(打开|关掉|关闭|开|关|启动|调高|调低|调亮|调暗|停止|暂停|看看|检查|重启|锁上|拉上|拉开)<device><end>",
    "<hey>(把|将)<device>(打开|关掉|关了|关闭|调高一点|调低一点|调大|调小|调到二十度|调亮|调暗|开到最大|停了|拉上|锁上|暂停|静音|声音调小|声音关掉|音量调大|声音开大一点)<end>",
    "<device>(打开|关了|关掉|开着吗|关了吗|坏了|太亮了|太吵了|声音太大了|声音太小|调高一点|调低|静音|怎么用|在哪|多少钱|开了没有|暂停|好了吗|什么时候好|调小一档|温度高一点|开机|关机)<end>",
    "<hey>(关掉|关闭|打开|调大|调小|取消)<device>(的|)(声音|音量|静音|定时)<end>",
    "<hey>(播放|放|听|来|唱|我想听|我想看|找|搜索|看|换|点播|随便放)(点|)<song><end>",
    "<hey>(我想看|我要看|播放|找|看|搜|推荐)(成龙|刘德华|宫崎骏|张艺谋|周星驰|沈腾|吴京|好莱坞)的(电影|片子|喜剧|动画|电视剧)<end>",
    "(我想看|我要看|播放|看)(西游记|红楼梦|三国演义|射雕英雄传|熊出没|小猪佩奇|流浪地球|还珠格格|天龙八部|琅琊榜|水浒传)(第<n>集|)<end>",
    "(西游记|红楼梦|还珠格格|熊出没|小猪佩奇|流浪地球|天龙八部|神雕侠侣|亮剑|武林外传)(第<n>集|电影|电视剧|全集|)",
    "(下一首|上一首|下一集|上一集|循环播放|随机播放|单曲循环|换一首|换个台|下一个台|快进|快退|倍速播放|收藏这首歌|上一个频道)<end>",
    "<hey>(今天|明天|后天|周末|<place>|<place>明天)(的|)(天气|会下雨吗|热不热|冷吗|几度|空气怎么样|限行吗)(怎么样|)<end>",
    "<hey>(查|查一下|查询|看看|问一下|告诉我|搜一下)(<place>|今天|明天|最近|)(的|)<what><end>",
    "<hey>(打电话|发短信|发消息|发邮件|打视频|发微信)(给|)<name>(告诉他我到了|说我晚点到|祝他生日快乐|)<end>",
    "<hey>(给|帮我给|打给)<name>(打电话|打个电话|发短信|发个消息|回邮件|留言|发微信)<end>",
    "<hey>(从|)<place>(到|去)<place>(怎么走|多远|的火车|的机票|坐几路车|要多久|有什么飞机)<end>",
    "<place>(在哪|怎么走|附近有什么好吃的|有什么好玩的|几点开门|几点关门|是哪个省的|人口多少)",
    "<dish>(怎么做|的做法|好吃吗|多少热量|要放什么调料|怎么炒)<end>",
    "<hey>(打开|启动|运行|下载|卸载|更新|进入|登录)<app><end>",
    "<hey>(定|设|设置|取消|关掉|改)(一个|)(<n>点|明天早上<n>点|每天|下午<n>点|)的?(闹钟|提醒|会议|倒计时|日程)<end>",
    "(提醒我|记得|别忘了)(<n>点|明天|晚上)(开会|吃药|起床|买菜|接孩子|打电话|交作业)<end>",
    "<when><who>(把|)(声音|音量|投影|投影仪|电影|灯)(调小了|调大了|关了|打开了|弄坏了|暂停了|静音了)",
    "<who><when>(把|)(投影|声音|音量|投影仪)(调小了|关了|打开过|调大了|关掉了|搬走了)(吗|没有|)",
    "<when>(是谁|谁)(关的|开的|把|)(投影|投影仪|灯|声音)(关了|打开了|调小了|)",
    "<when>(投影|投影仪|机器)(是谁|谁|为什么|怎么)(关的|开的|关了|坏了|打开的)",
    "<machine>(多少钱|贵不贵|好用吗|是什么牌子的|怎么样|值得买吗|哪里买|能用几年|的灯泡能用多久|和电视哪个好|的原理是什么|怎么安装|保修多久|坏了找谁修|亮度是多少流明|怎么选|放在哪里好|是谁买的|好不好看)",
    "(哪个|什么|哪种|推荐一个)(牌子|型号|品牌|价位)的(投影仪|投影|投影机|幕布|音箱)(好|便宜|最好|值得买|)",
    "<who>(想|要|打算)(买|卖|修|换|借)(一台|一个|)(投影仪|投影|电视|音箱)",
    "(别|不要|先别|不用|不许|千万别|请勿|暂时别|先不要|请不要)(关|关掉|关闭|打开|开|动|碰|重启)<machine><end>",
    "(别|不要|先别|不许|千万别|暂时不要|先不要|请不要)(关机|开机|静音|暂停|播放|返回|退出|对焦|调大|调小|切换|换源|确定|动|调高音量|调低音量|停|继续|打开菜单|回主页)<end>",
    "(别|不要|先别|请不要|不许)(把|)(声音|音量)(调大|调小|关掉|调高|调低|开大|关了)<end>",
    "(别|不要|先别)把<machine>(关了|关掉|打开|关机)<end>",
    "(先|)(静音|暂停|返回|对焦|关机|调大声音|把声音调小)(再|然后|接着|之后再)(切到HDMI2|打开菜单|关机|调大声音|回主页|静音|对焦|播放|按确定)",
    "(声音|音量|投影|投影仪|画面|屏幕|菜单栏|电影|机器|电源|定时|方向|那个声音|这个投影|键|信号|打开|关掉|调|把|按|选|切|换)",
    "(声音|音量|画面|电影|菜单|主页|字幕|音乐|嗓音)(很好听|真好看|是什么意思|怎么来的|很漂亮|不错|的英文怎么说|上写了什么|里有什么|有推荐的吗|是谁的|的单位是什么|太美了)",
    "<who>(的|)(声音|嗓门|手机|音乐|电视)(真大|太大|很好听|真小|很轻|好听|太吵)",
    "(这家店|饭店|餐厅|食堂|那家)的?(菜单|主页)(拿来看看|上有什么|推荐一下|在哪|给我看看|怎么样)",
    "(左转|右转|直走|掉头|往前开|靠边停车|上楼|下楼|上车|下车|左边有车|右边有人|往左拐|向右拐|上面有人|下面是什么|前面路口右转|上班|下班|上课|下课|上山|下乡|左手|右手|上次|下次|上周|下周)(吧|了|的事|怎么办|)",
    "(上|下|左|右)(一位总统|个月|周|回|届|一届|一届冠军|面的单位|半年|海|班|派|脑|撇子|属|水道)(是谁|怎么样|有什么|)",
    "(取消|退掉|撤回)(订单|会议|航班|预约|关注|<device>的定时|会员|外卖|酒店|邮件|明天的闹钟|报名|消息)<end>",
    "(继续|暂停|停止|开始|结束)(导航|打扫|充电|录音|下载|更新|讲故事|上课|做饭|洗衣服|通话|计时|会议|跑步|拖地)<end>",
    "(确定|确认)(一下|)(明天的时间|航班|地址|订单|价格|人数|名单|会议时间)<end>",
    "(你|他|真的|确实)(确定|确认)吗",
    "<who>(退出|返回|取消|确认|暂停|继续)了?(比赛|学校|公司|群聊|合同|婚约|故乡|工作|地球|谈判)(吗|)",
    "(返回|回到|退回)(地球|北京|学校|老家|过去|公司|从前|童年|押金|定金)(需要多久|怎么走|吧|)",
    "(焦虑|焦点访谈|焦点人物|聚焦两会|近视|眼睛看不清|眼睛模糊|镜子模糊)(怎么办|是什么|怎么治|)",
    "(HDMI|USB|投影|对焦|静音|蓝牙|分辨率|流明)(是什么|是什么意思|怎么用|有什么用|为什么不行|的全称)",
    "<hey><verb>(一首诗|一篇文章|一个故事|一张画|一束花|一道题|一本书|单词|礼物|衣服|房子|代码|古诗|作文|一个笑话|英语|一台车)<end>",
    "(一百|三十五|12|七|<n>)(加|减|乘以|除以|乘)(二十|四十五|3|<n>)(等于多少|等于几|是多少)",
    "(<chat>)(<end>|)",
    "<chat><chat>",
    "(把|将)(这句话|这段话|苹果|你好)(翻译成|用)(英文|日语|英语|法语)(怎么说|)",
    "(谁|什么时候|哪里|怎么|为什么)(发明了|开始|可以买到|去|会有|是)(电话|春节|火车票|北京|地震|总统|投影技术|最高的山)",
    "<polite>(turn on|turn off|switch on|switch off|open|close|start|stop|lock|unlock|dim|pause|restart|turn up|turn down|brighten|mute) the <deviceen><thanks>",
    "<polite>(turn|switch) the <deviceen> (on|off|up|down)<thanks>",
    "<polite>(set|change|adjust) the <deviceen> to (twenty degrees|fifty percent|red|warm white|eco mode|low|max)<thanks>",
    "<polite>(turn up|turn down|lower|raise|mute) the <deviceen> (volume|brightness|temperature|sound)<thanks>",
    "(is|are) the <deviceen> (on|off|open|closed|locked|running|done)",
    "<polite>(play|listen to|put on|find|search for|queue|shuffle) (some jazz|music|a song|the beatles|my playlist|the news|rock music|a podcast|classical music|some blues|the radio|the latest episode of friends|star wars|a comedy|this album|frozen)<thanks>",
    "(next|previous|skip this|repeat this|another) (song|track|episode|channel|chapter|album)",
    "(what's|what is|how is|tell me|check) the (weather|time|date|traffic|news|score|temperature|price of gold|forecast|stock price|capital of france)( today| tomorrow| in paris| like|)",
    "<polite>(call|text|message|email|phone|ring) (my mom|my brother|john|the office|dad|a taxi|my boss|her|911)<thanks>",
    "<polite>(set|cancel|delete|snooze|stop) (an|the|my) (alarm|reminder|meeting|appointment|alarm clock)( for seven| for tomorrow| at noon|)<thanks>",
    "<polite>(set|start|cancel) a (cooking|egg|ten minute|kitchen|workout) timer( for ten minutes| for the pasta|)<thanks>",
    "<polite>(order|buy|book|reserve|get me|find me) (a pizza|a taxi|a flight|a table|some milk|tickets|a hotel|groceries|a new projector|a coffee)<thanks>",
    "(cancel|renew|stop) (my|the) (subscription|order|flight|booking|membership|reservation|appointment|meeting|deal)",
    "(don't|do not|never|please don't|please do not|you must not|don't you dare|you shouldn't) (turn|switch|shut) (off|on|down|up) (the projector|it|the beamer|the sound|the volume|anything)( yet|)",
    "(don't|do not|never|please don't|please do not) (mute|pause|play|stop|resume|go back|go home|confirm|press ok|cancel|focus|switch|change the source|turn it up|turn it down|touch anything|turn it off|power off|shut down)( it| yet| now| that|)",
    "(don't|do not|never) turn the (projector|beamer|volume|sound|light) (off|on|down|up)( yet|)",
    "(who|when did you|why did you|he|she|they|my son|somebody|i) (turned|switched) (off|on|down|up|it off|it on) (the projector|the volume|the sound|the lights)( yesterday| last night|)",
    "(he|she|they|my boss|the teacher|someone) (said|thinks|told me|complained) (the|that the|it) (movie|sound|volume|projector|film|music) (was|is) (too loud|too quiet|broken|great|blurry|off|expensive)",
    "(how much|where|why|which|how long|how) (does a projector cost|do projectors last|should i buy a projector|is the projector|do i clean the projector|do projectors work|to install a projector|is a projector better than a tv|is the projector so expensive|projector should i buy|bright is a good projector)",
    "(what|who|where|why|how|when) (is|are|was|did|does|do|can|should) (the president|we eat|my keys|you born|the moon|the game|he go|photosynthesis|this word mean|the bus come|she win|i cook rice|my phone|a black hole|the meeting)",
    "(turn left|turn right|go straight|go up the stairs|go down the street|go home and rest|go back to school|left at the corner|right at the light|take the next exit|drive home|walk up the hill|down the road|he went home|she left|up north|on the right track|that's right|right now|left over food|all right then|what's up|break up|calm down|sit down|stand up|wake up early|get up|come down)",
    "(focus|concentrate) on (your work|your studies|the road|what matters|breathing|the problem)",
    "(the|a) (home team|back pain|source of the river|menu of the day|power plant|power bank|volume of a sphere|pause in the talks|sound of music|right to vote|left wing|home run|upper class|okay corral|main street|confirmed case|status quo|back door|home office)( is nice| won| please|)",
    "(what's|what is) (on the|) (lunch menu|breakfast menu|home address|volume of a cube|sound barrier|power of two|source code|right answer|status of my order|menu at the restaurant)",
    "<chaten>",
    "<chaten> <chaten>",
    "(volume|sound|the projector|projector|turn it|turn|switch|the|it|go|press|set the|make it|the volume|the sound|screen|picture|the movie|on|off|the input|power|button|remote)",
    "(make it|it's too) (warmer|cooler|brighter|darker|cold|hot|dark|bright|spicy|bigger|sweet)( in here|)",
    "<polite>(navigate|drive|take me|directions) to (the airport|work|the station|berlin|the nearest gas station|the mall|school)<thanks>",
    "<polite>(add|put|remove) (milk|eggs|bread|batteries) (to|on|from) (the|my) (shopping list|list|cart)<thanks>",
    "<polite>(tell me|read me|give me|write|sing) (a joke|a story|a poem|a song|some advice|the news|a riddle|an essay|the recipe)<thanks>",
    "<polite>(translate|spell|define|calculate|convert) (this|hello|necessary|five plus seven|ten miles to kilometers|that sentence)( into french| to german|)<thanks>",
]  # fmt: skip

_PIECE = re.compile(r"<(\w+)>|\(([^()<>]*(?:<\w+>[^()<>]*)*)\)")


def _expand(template: str, random: Random) -> str:
    """One sentence of a template."""
    while found := _PIECE.search(template):
        choices = _LISTS[found[1]] if found[1] else found[2].split("|")
        template = template[: found.start()] + random.choice(choices) + template[found.end() :]
    # a sign of regular expressions that marks an optional character before it
    return re.sub(r" {2,}", " ", template.replace("?", "")).strip()


def templates() -> dict[str, list[str]]:
    """Templates of every class, actions and REFUSE."""
    found = {str(action): list(one) for action, one in {**_COMMANDS, **_MORE_COMMANDS}.items()}
    for action, (sign, sides, english) in _DIRECTIONS.items():
        chinese = [one.replace("D", sign).replace("(S)", f"({sides})") for one in _DIRECTION_TEMPLATES]
        more = _SIDEWAYS_TEMPLATES_EN if action in (Action.LEFT, Action.RIGHT) else []
        found[str(action)] = chinese + [re.sub(r"\bE\b", english, one) for one in [*_DIRECTION_TEMPLATES_EN, *more]]
    found[REFUSE] = list(_REFUSED)
    return found


def sample(*, seed: int, commands: int = 2500, refused: int = 24000, repeats: int = 8) -> Iterator[tuple[str, str]]:
    """Sentences and their classes.

    commands: draws for every action; refused: for REFUSE. repeats: a short sentence comes up again and again, as people
    say it; more often than this it is left out.
    """
    random = Random(seed)  # noqa: S311
    for label, lines in templates().items():
        seen: Counter[str] = Counter()
        for number in range(refused if label == REFUSE else commands):
            sentence = _expand(lines[number % len(lines)], random)
            if sentence and seen[sentence] < repeats:
                seen[sentence] += 1
                yield sentence, label
