"""The models in the package, on sentences that nobody trained on: what is plain must be found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ironwok.events import EntityExtractor, EventExtractor
from ironwok.models.bundled import WEIGHTS

CARDS = Path(__file__).resolve().parents[2] / "recipes" / "extraction"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_finance_finds_a_plain_pledge() -> None:
    text = "2021年3月5日，云岭矿业股份有限公司股东王立新将其持有的1200万股公司股份质押给海湾银行。"
    events = EventExtractor("finance").extract([text])[0]
    pledge = next(event for event in events if event.type == "质押")
    assert pledge.trigger is not None
    assert pledge.trigger.text == "质押"
    found = {(argument.role, argument.text) for argument in pledge.arguments}
    assert {("sub-per", "王立新"), ("number", "1200万"), ("obj-org", "海湾银行")} <= found
    for span in pledge.spans:
        assert text[span.start : span.end] == span.text


def test_finance_finds_who_sues_whom() -> None:
    (events,) = EventExtractor("finance").extract(["自然人周海涛起诉天枢置业，称其逾期交房。"])
    found = [(event.type, {(argument.role, argument.text) for argument in event.arguments}) for event in events]
    assert found == [("起诉", {("sub-per", "周海涛"), ("obj-org", "天枢置业")})]


def test_entities_finds_a_plain_name() -> None:
    text = "王小明昨天在北京见到了刘建国。"
    found = EntityExtractor("entities").extract([text])[0]
    assert {"王小明", "刘建国"} <= {entity.span.text for entity in found if entity.type == "name"}


@pytest.mark.parametrize("name", ["finance", "entities"])
def test_the_card_gives_figures_and_the_recipe(name: str) -> None:
    card = (WEIGHTS / name / "README.md").read_text(encoding="utf-8")
    assert f"recipes/extraction/{name}.toml" in card
    assert "| | precision | recall | F1 |" in card
    assert "<!--" not in card
    # all but the figures stands in the recipe's card
    before, _, after = (CARDS / f"{name}.md").read_text(encoding="utf-8").partition("<!-- results -->")
    assert card.startswith(before)
    assert card.endswith(after)
