"""The table that a reading ends with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironwok.cli.console import one_line
from ironwok.cli.language import t
from ironwok.reading.html import display_names
from ironwok.results import DocumentResult, Entity, Event, Report

# rows; a longer report is for the page, not for the terminal
_SHOWN = 40
_SHOWN_LABELS = 3
_SHOWN_EVENTS = 20
_LABEL_WIDTH = 24
_GAP = 2  # cells between columns
_BAR = 20  # cells of the longest bar


def print_report(report: Report, *, console: Console, skipped: int, listed_in: str = "skipped.jsonl") -> None:
    """Documents with their labels, then labels with their totals, then where everything is."""
    # without labels and events there is nothing to say of single documents
    if report.labels or report.events is not None:
        _print_documents(report, console)
    if report.labels:
        console.print(_totals(report))
        console.print()
    if report.events is not None:
        _print_events(report, console)
        console.print()
    if report.answers:
        _print_answers(report, console)
    passages = sum(len(document.passages) for document in report.documents)
    summary = t(
        en=f"{len(report.documents):,} documents, {passages:,} passages",
        zh=f"{len(report.documents):,} 篇文档，{passages:,} 段",
    )
    if report.events is not None:
        found = sum(len(document.found) for document in report.documents)
        if report.events.task == "entities":
            summary += t(en=f", {found:,} entities (entities.csv)", zh=f"，{found:,} 个实体（entities.csv）")
        else:
            summary += t(en=f", {found:,} events (events.csv)", zh=f"，{found:,} 个事件（events.csv）")
    if report.answers:
        given = len(report.answers)
        summary += t(en=f", {given:,} answers (answers.jsonl)", zh=f"，{given:,} 个回答（answers.jsonl）")
    if report.skipped:
        summary += t(
            en=f", {len(report.skipped):,} not read ({listed_in})",
            zh=f"，{len(report.skipped):,} 处没有读（{listed_in}）",
        )
    damaged = sum(document.replaced for document in report.documents)
    if damaged:
        summary += t(
            en=f"; broken bytes in {damaged:,} places, read as U+FFFD (documents.jsonl: replaced)",
            zh=f"；{damaged:,} 处坏字节读作 U+FFFD（见 documents.jsonl 的 replaced）",
        )
    windowed = sum(p.classification is not None and p.classification.evidence is not None for p in report.passages)
    if windowed:
        summary += t(
            en=f"; {windowed:,} passages are longer than the model takes and were read in windows (lower --max-chars)",
            zh=f"；{windowed:,} 段超出模型的长度，分窗读取（可以调小 --max-chars）",
        )
    console.print(Text(summary), soft_wrap=True)
    console.print(Text(os.fspath(report.page), style="bold"), soft_wrap=True)


def _documents(report: Report, console_width: int) -> Table:
    names = display_names([document.document for document in report.documents])
    rows = []
    for document in report.documents[:_SHOWN]:
        name = one_line(names[document.document]) + place_in_file(document)
        if not report.labels:
            rows.append((name, str(len(document.passages)), str(len(document.found)), "", _kinds(document.found)))
            continue
        score = f"{document.classification.score:.2f}" if document.classification else ""
        labels, events = _joined(report, document) or "–", _kinds(document.found)
        inside = _distribution(report, document) + (f" · {events}" if events else "")
        rows.append((name, str(len(document.passages)), labels, score, inside))
    heads = (
        t(en="Document", zh="文档"),
        t(en="Passages", zh="段落"),
        t(en="Label", zh="标签") if report.labels else _found_name(report),
        t(en="Score", zh="得分") if report.labels else "",
        t(en="Its passages", zh="各段") if report.labels else t(en="Of which types", zh="类型"),
    )
    # widths of our own: where the terminal is narrow, rich would let whole columns vanish
    wanted = [max(cell_len(text) for text in column) for column in zip(heads, *rows, strict=True)]
    name_width, label_width = min(wanted[0], console_width * 2 // 5), min(wanted[2], _LABEL_WIDTH)
    rest = console_width - name_width - wanted[1] - label_width - wanted[3] - 4 * _GAP
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
    table.add_column(heads[0], overflow="ellipsis", no_wrap=True, width=name_width)
    table.add_column(heads[1], justify="right", no_wrap=True, width=wanted[1])
    table.add_column(heads[2], style="bold", overflow="fold", width=label_width)
    table.add_column(heads[3], justify="right", no_wrap=True, width=wanted[3])
    table.add_column(heads[4], style="dim", overflow="ellipsis", no_wrap=True, width=max(min(wanted[4], rest), 8))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _joined(report: Report, document: DocumentResult) -> str:
    return ", ".join(report.labels_of(document.classification))


def place_in_file(document: DocumentResult) -> str:
    """Where in its file a record stands, as editors and grep say it: ":LINE", else its number from 1."""
    if document.line is not None:
        return f":{document.line}"
    return "" if document.record is None else f" #{document.record + 1}"


def _distribution(report: Report, document: DocumentResult) -> str:
    counts = Counter(label for p in document.passages for label in report.labels_of(p.classification))
    shown = [f"{label} {count}" for label, count in counts.most_common(_SHOWN_LABELS)]
    return " · ".join(shown) + (" …" if len(counts) > _SHOWN_LABELS else "")


def _found_name(report: Report) -> str:
    entities = report.events is not None and report.events.task == "entities"
    return t(en="Entities", zh="实体") if entities else t(en="Events", zh="事件")


def _kinds(events: Sequence[Event | Entity]) -> str:
    counts = Counter(event.type for event in events)
    shown = [f"{type} {count}" for type, count in counts.most_common(_SHOWN_LABELS)]
    return " · ".join(shown) + (" …" if len(counts) > _SHOWN_LABELS else "")


def _print_documents(report: Report, console: Console) -> None:
    console.print(_documents(report, console.width))
    if (rest := len(report.documents) - _SHOWN) > 0:
        more = t(en=f"… and {rest:,} more documents in {report.page}", zh=f"……还有 {rest:,} 篇，见 {report.page}")
        console.print(Text(more, style="dim"))
    console.print()


def _print_answers(report: Report, console: Console) -> None:
    """Every question with its answer in the colours of its sources, what is doubtful, and the sources."""
    from ironwok.cli.answers import answered_by, print_sources, remarks, strip

    for answer in report.answers:
        console.print(Text(answer.question, style="bold"), soft_wrap=True)
        if answer.text:
            console.print(strip(answer), soft_wrap=True)
        for line in remarks(answer):
            console.print(Text(line, style="yellow"), soft_wrap=True)
        print_sources(answer, console)
        if line := answered_by(answer):
            console.print(Text(line, style="dim"), soft_wrap=True)
        console.print()


def _print_events(report: Report, console: Console) -> None:
    """How often every type occurs, then the events themselves, the surest first; or the commonest entities."""
    found = [(document, event) for document in report.documents for event in document.found]
    entities = report.events is not None and report.events.task == "entities"
    if not found:
        nothing = (
            t(en="No entity was found.", zh="没有找到实体。")
            if entities
            else t(en="No event was found.", zh="没有找到事件。")
        )
        console.print(Text(nothing))
        return
    events = Counter(event.type for _, event in found)
    documents = Counter(type for document in report.documents for type in {event.type for event in document.found})
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(
        t(en="Entity type", zh="实体类型") if entities else t(en="Event type", zh="事件类型"), overflow="fold"
    )
    table.add_column("", no_wrap=True)
    table.add_column(_found_name(report), justify="right", no_wrap=True)
    table.add_column(t(en="Documents", zh="文档"), justify="right", no_wrap=True)
    most = max(events.values())
    for type, count in events.most_common():
        bar = Text("█" * max(1, round(_BAR * count / most)), style="cyan")
        table.add_row(Text(type), bar, f"{count:,}", f"{documents[type]:,}")
    console.print(table)
    console.print()
    if entities:
        for type, _ in events.most_common():
            console.print(
                _entity_line(type, [one for _, one in found if one.type == type]), no_wrap=True, overflow="ellipsis"
            )
        return
    for _, event in sorted(found, key=lambda pair: -pair[1].score)[:_SHOWN_EVENTS]:
        console.print(_event_line(event), no_wrap=True, overflow="ellipsis")
    if (rest := len(found) - _SHOWN_EVENTS) > 0:
        more = t(en=f"… and {rest:,} more events in {report.page}", zh=f"……还有 {rest:,} 个事件，见 {report.page}")
        console.print(Text(more, style="dim"))


def _entity_line(type: str, entities: Sequence[Event | Entity]) -> Text:
    """A type and the words that were found most often."""
    words = Counter(_one_line(entity.span.text) for entity in entities if isinstance(entity, Entity))
    line = Text(f"{type} ", style="bold")
    for text, count in words.most_common(_SHOWN_EVENTS):
        line.append(f" {text}", style="default")
        line.append(f" ×{count}" if count > 1 else "", style="dim")
    return line


def _event_line(event: Event | Entity) -> Text:
    assert isinstance(event, Event)
    line = Text(f"{event.score:.2f} ", style="dim")
    line.append(event.type, style="bold")
    if event.trigger is not None:
        line.append(f" {_one_line(event.trigger.text)}", style="red")
    for argument in event.arguments:
        line.append(f"  {argument.role}=", style="dim")
        line.append(_one_line(argument.text), style="default")
    return line


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _totals(report: Report) -> Table:
    passages = Counter(label for p in report.passages for label in report.labels_of(p.classification))
    documents = Counter(label for d in report.documents for label in report.labels_of(d.classification))
    without = sum(not report.labels_of(p.classification) for p in report.passages)
    rows = [(label, passages[label], documents[label]) for label in report.labels]
    rows.sort(key=lambda row: -row[1])
    if without:
        rows.append(
            (
                t(en="no label", zh="无标签"),
                without,
                sum(not report.labels_of(d.classification) for d in report.documents),
            )
        )
    most = max((count for _, count, _ in rows), default=0) or 1
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(t(en="Label", zh="标签"), overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column(t(en="Passages", zh="段落"), justify="right", no_wrap=True)
    table.add_column(t(en="Documents", zh="文档"), justify="right", no_wrap=True)
    for label, count, number in rows:
        table.add_row(Text(label), Text("█" * round(_BAR * count / most), style="cyan"), f"{count:,}", f"{number:,}")
    return table
