"""The page without a browser: it mounts, what its buttons call answers, and nothing else of Gradio is in reach."""

from __future__ import annotations

import base64
import json
import re
import secrets
from contextlib import closing
from http.client import IncompleteRead

import pytest
from served import NAME, Client, Endless, HeldScorer, NumberExtractor, Parrot, eventually, serving

from ironwok.errors import MissingExtraError
from ironwok.serving import Limits, Services, create_app
from ironwok.zero_shot import ZeroShotClassifier
from ironwok.zero_shot.registry import load_judge

# of Gradio itself, with the pandas of these days
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.*")


class Visitor:
    """What the script of the page does, in a session of its own."""

    def __init__(self, client: Client) -> None:
        self.client, self.session = client, secrets.token_hex(6)
        status, _, self.config = client.send("/web/config")
        assert status == 200
        self.by_place = {one["id"]: one for one in self.config["components"]}

    def event(self, button: str) -> dict:
        """The event of a button, by its element id."""
        (number,) = (one["id"] for one in self.config["components"] if one["props"].get("elem_id") == button)
        return next(one for one in self.config["dependencies"] if [number, "click"] in map(list, one["targets"]))

    def join(self, button: str, data: list) -> None:
        body = {"fn_index": self.event(button)["id"], "session_hash": self.session, "data": data}
        status, _, answer = self.client.send("/web/gradio_api/queue/join", body)
        assert status == 200, answer

    def click(self, button: str, data: list) -> str:
        """The HTML that stands there when the event is over."""
        self.join(button, data)
        _, _, text = self.client.send(f"/web/gradio_api/queue/data?session_hash={self.session}")
        self.messages = [json.loads(line.removeprefix("data: ")) for line in text.strip().split("\n\n")]
        (last,) = [one for one in self.messages if one["msg"] == "process_completed"]
        assert last["success"], last
        return last["output"]["data"][0]


@pytest.fixture(scope="module")
def scorer():
    return HeldScorer()


@pytest.fixture(scope="module")
def client(scorer):
    services = Services(
        *(ZeroShotClassifier(scorer=scorer), NAME, NumberExtractor(), "numbers"),
        **{"answerer": Parrot(), "answerer_name": "parrot", "judge": load_judge("blanks"), "judge_name": "heads"},
    )
    with serving(services, page=True) as running:
        yield running.client


def test_the_root_leads_to_the_page(client):
    status, headers, _ = client.send("/")
    assert (status, headers["location"]) == (307, "web/")
    status, headers, html = client.send("/web/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self' data: blob:")
    # what a browser would load by itself: all of it from here
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"([^\"]+)\"", html)
    assert loaded
    assert not [one for one in loaded if re.match(r"(https?:)?//", one)]
    theme = client.send("/web/theme.css")[2]
    assert "@import" not in theme
    assert set(re.findall(r"url\(['\"]?(.{5})", theme)) <= {"data:"}
    config = client.send("/web/config")[2]
    assert config["analytics_enabled"] is False
    assert "http" not in "".join(config.get("stylesheets") or [])
    assert client.send("/favicon.ico")[0] == client.send("/manifest.json")[0] == 200


CLASSIFY = ["主队赢了体育比赛\n\n财政部发债", "体育，财经", "", False, False, 0]


def test_classify_shows_a_bar_for_each_label(client):
    shown = Visitor(client).click("do-classify", CLASSIFY)
    assert re.findall(r'class="name">(\w+)<', shown) == ["体育", "财经", "财经", "体育"]
    assert shown.count('class="card"') == 2


def test_compare_shows_a_bar_for_each_answer(client):
    first, second = "怎么修改手机号\n今天天气<b>真好\n", "\n手机号怎么改\n怎么开发票"
    shown = Visitor(client).click("do-compare", [first, second, False])
    assert re.findall(r'class="chosen".*?lang="en">(\w+)<', shown) == ["same", "different"]
    assert "今天天气&lt;b&gt;真好<br>怎么开发票" in shown
    shown = Visitor(client).click("do-compare", [first, second, True])
    assert len(re.findall(r'lang="en">(follows|open|contradicts)<', shown)) == 6


def test_fill_sets_the_best_word_in_its_blank(client):
    shown = Visitor(client).click("do-fill", ["他____地通过了考试<b>。", "画蛇添足，轻而易举"])
    assert re.search(r'他<span class="mark" style="--hue:\d+">轻而易举</span>地通过了考试&lt;b&gt;。</p>', shown)
    assert re.findall(r'class="name">(\w+)<', shown) == ["轻而易举", "画蛇添足"]


def test_extract_shows_the_spans(client):
    shown = Visitor(client).click("do-extract", ["三月12日<b>"])
    assert re.search(r'title="number">12</span>日&lt;b&gt;</p>', shown)


def test_an_answer_comes_in_pieces_and_ends_with_its_sources(client):
    visitor = Visitor(client)
    shown = visitor.click("do-answer", ["The key is here.\n\n \nNot here.", "Where?", 20])
    pieces = [one for one in visitor.messages if one["msg"] == "process_generating"]
    assert len(pieces) > 10
    assert "writing" in str(pieces[0])
    assert "writing" not in shown
    assert ">The key is here.</span>" in shown
    assert shown.count("<blockquote>") == 1


@pytest.mark.parametrize(
    ("button", "data", "told"),
    [
        ("do-classify", ["体育", "体育", "", False, False, 0], "nothing to choose"),
        ("do-classify", ["", "体育，财经", "", False, False, 0], "at least one text"),
        ("do-classify", ["a\n" * 300, "体育，财经", "", False, False, 0], "at most 256"),
        ("do-classify", ["坏", "体育，财经", "", False, False, 0], "not to be read"),
        ("do-classify", ["体育", "体育，财经", "no place", False, False, 0], "{}"),
        ("do-classify", ["虫", "体育，财经", "", False, False, 0], "went wrong inside"),
        ("do-compare", ["一句", "", False], "there are 1 first and 0 second sentences"),
        ("do-compare", ["", "", False], "at least one pair"),
        ("do-fill", ["没有空格", "甲，乙"], "has 0 blanks"),
        ("do-fill", ["有____", "甲"], "two or more"),
        ("do-fill", ["有____", ""], "two or more"),
        ("do-extract", [" "], "blank"),
        ("do-answer", ["", "?", 20], "contexts"),
        ("do-answer", ["a", " ", 20], "blank"),
    ],
)
def test_what_cannot_be_done_is_told_on_the_page(client, button, data, told, caplog):
    shown = Visitor(client).click(button, data)
    assert 'role="alert"' in shown
    assert told in shown
    assert "secret" not in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("data", [None, [], [None] * 6, [1, 2, 3, 4, 5, 6], [{"a": 1}] * 6, ["x"] * 60])
def test_what_the_page_never_sends_breaks_nothing(client, data):
    visitor = Visitor(client)
    body = {"fn_index": visitor.event("do-classify")["id"], "session_hash": visitor.session, "data": data}
    status, _, answer = client.send("/web/gradio_api/queue/join", body)
    if status == 200:
        answer = client.send(f"/web/gradio_api/queue/data?session_hash={visitor.session}")[2]
    else:
        assert 400 <= status < 500
    assert "Traceback" not in str(answer)
    assert "site-packages" not in str(answer)
    assert "体育" in visitor.click("do-classify", CLASSIFY)


def test_both_languages_are_given_on_request(client):
    visitor = Visitor(client)
    switch = next(one for one in visitor.config["dependencies"] if one["targets"][0][1] == "input")
    for language, told in (("zh", "文本，每行一条"), ("en", "Texts, one a line"), ("<x>", "Texts, one a line")):
        body = {"fn_index": switch["id"], "session_hash": visitor.session, "data": [language]}
        status, _, answer = client.send("/web/gradio_api/run/predict", body)
        if language == "<x>":
            assert status != 200 or told in str(answer)
        else:
            assert status == 200
            assert told in str(answer)


@pytest.mark.parametrize(
    "path",
    [
        "/web/gradio_api/file=/etc/passwd",
        "/web/file=/etc/passwd",
        "/web/gradio_api/file/etc/passwd",
        "/web/gradio_api/proxy=http://127.0.0.1:1/",
        "/web/gradio_api/upload",
        "/web/gradio_api/upload_progress",
        "/web/gradio_api/component_server",
        "/web/gradio_api/stream/a/b/1/playlist.m3u8",
        "/web/gradio_api/process_recording",
        "/web/gradio_api/vibe-code",
        "/web/gradio_api/runs",
        "/web/gradio_api/mcp/sse",
        "/web/static/../../routes.py",
        "/web/static/..%2f..%2froutes.py",
        "/web/assets/%2e%2e/%2e%2e/%2e%2e/routes.py",
        "/web/assets//etc/passwd",
        "/web/custom_component/a/client/b/c",
        "/web/monitoring",
        "/web/login",
        "/web/svelte/svelte/index.js",
        "/web/docs",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_files_proxies_and_the_rest_of_gradio_are_not_there(client, path, method):
    status, _, answer = client.send(path, {} if method == "POST" else None, method=method)
    assert status in (404, 405)
    assert "root:" not in str(answer)
    assert "import" not in str(answer)


def test_nobody_hears_what_another_session_asked(client):
    first, second = Visitor(client), Visitor(client)
    first.join("do-extract", ["私密 4711"])
    with pytest.raises(IncompleteRead) as broken:  # a session that asked nothing is told so and cut off
        client.send(f"/web/gradio_api/queue/data?session_hash={second.session}")
    assert b"session_not_found" in broken.value.partial
    assert b"4711" not in broken.value.partial
    _, _, heard = client.send(f"/web/gradio_api/queue/data?session_hash={first.session}")
    assert "4711" in heard


def test_the_page_asks_for_the_key_as_a_password(services):
    with serving(services, api_keys=["open-wok"], page=True) as running:
        client = Client(running.client.port)
        for path in ("/", "/web/", "/web/config", "/web/gradio_api/queue/data?session_hash=a"):
            status, headers, _ = client.send(path)
            assert (status, headers["www-authenticate"][:5]) == (401, "Basic")
        for given, expected in (("you:open-wok", 200), (":open-wok", 200), ("open-wok:", 401), ("you:open", 401)):
            headers = {"authorization": f"Basic {base64.b64encode(given.encode()).decode()}"}
            assert client.send("/web/", headers=headers)[0] == expected
            # only on the page: another site could make a browser send it elsewhere
            assert client.send("/v1/models", headers=headers)[0] == 401
        assert client.send("/web/", headers={"authorization": "Basic !"})[0] == 401
        assert running.client.send("/web/")[0] == 200


def test_an_open_page_does_not_keep_the_server_up(services):
    with serving(services, page=True) as running:
        connection = running.client.connect()
        with closing(connection):
            connection.request("GET", "/web/gradio_api/heartbeat/abc")
            response = connection.getresponse()
            assert response.readline() == b"data: ALIVE\n"
            running.stop()


def test_an_answer_is_given_up_when_its_page_is_closed():
    answerer = Endless()
    with serving(Services(answerer=answerer, answerer_name="endless"), page=True) as running:
        visitor = Visitor(running.client)
        visitor.join("do-answer", ["a", "?", 20])
        connection = running.client.connect()
        connection.request("GET", f"/web/gradio_api/queue/data?session_hash={visitor.session}")
        response = connection.getresponse()
        while b"on and" not in response.readline():
            pass
        response.close()
        connection.close()
        eventually(answerer.stopped.is_set)


def test_a_full_queue_is_told_on_the_page(services, scorer):
    with serving(services, limits=Limits(queue=1, batch_seconds=0), page=True) as running:
        scorer.go.clear()
        scorer.begun.clear()
        for number in range(2):
            Visitor(running.client).join("do-classify", CLASSIFY)
            assert scorer.begun.wait(20)
            eventually(lambda: running.client.counter('ironwok_queue_requests{task="classify"}') == number)  # noqa: B023
        shown = Visitor(running.client).click("do-classify", CLASSIFY)
        assert "too many are waiting" in shown
        scorer.go.set()


def test_without_gradio_the_page_says_what_to_install(services, monkeypatch):
    import builtins

    real = builtins.__import__

    def missing(name, *args, **options):
        if name.startswith("ironwok.serving.page"):
            raise ImportError("no gradio", name="gradio")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=r"ironwok\[web\]"):
        create_app(services, page=True)
