"""The table that a reading ends with."""

from __future__ import annotations

import os
from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironwok.cli.language import t
from ironwok.reading.html import display_names
from ironwok.results import DocumentResult, Report

# rows; a longer report is for the page, not for the terminal
_SHOWN = 40
_SHOWN_LABELS = 3
_BAR = 20  # cells of the longest bar


def print_report(report: Report, *, console: Console, skipped: int) -> None:
    """Documents with their labels, then labels with their totals, then where everything is."""
    console.print(_documents(report))
    if (rest := len(report.documents) - _SHOWN) > 0:
        more = t(en=f"… and {rest:,} more documents in {report.page}", zh=f"……还有 {rest:,} 篇，见 {report.page}")
        console.print(Text(more, style="dim"))
    console.print()
    console.print(_totals(report))
    console.print()
    passages = sum(len(document.passages) for document in report.documents)
    summary = t(
        en=f"{len(report.documents):,} documents, {passages:,} passages",
        zh=f"{len(report.documents):,} 篇文档，{passages:,} 段",
    )
    if report.skipped:
        summary += t(
            en=f", {len(report.skipped):,} not read (skipped.jsonl)",
            zh=f"，{len(report.skipped):,} 处没有读（skipped.jsonl）",
        )
    windowed = sum(p.classification is not None and p.classification.evidence is not None for p in report.passages)
    if windowed:
        summary += t(
            en=f"; {windowed:,} passages are longer than the model takes and were read in windows (lower --max-chars)",
            zh=f"；{windowed:,} 段超出模型的长度，分窗读取（可以调小 --max-chars）",
        )
    console.print(Text(summary), soft_wrap=True)
    console.print(Text(os.fspath(report.page), style="bold"), soft_wrap=True)


def _documents(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(t(en="Document", zh="文档"), overflow="ellipsis", no_wrap=True, ratio=3, min_width=16)
    table.add_column(t(en="Passages", zh="段落"), justify="right", no_wrap=True)
    table.add_column(t(en="Label", zh="标签"), style="bold", overflow="fold")
    table.add_column(t(en="Score", zh="得分"), justify="right", no_wrap=True)
    table.add_column(t(en="Its passages", zh="各段"), overflow="ellipsis", no_wrap=True, ratio=4)
    names = display_names([document.document for document in report.documents])
    for document in report.documents[:_SHOWN]:
        name = names[document.document] + ("" if document.record is None else f" #{document.record}")
        labels = report.labels_of(document.classification)
        score = document.classification.score if document.classification else None
        table.add_row(
            Text(name),
            str(len(document.passages)),
            Text(", ".join(labels)) if labels else Text("–", style="dim"),
            "" if score is None else f"{score:.2f}",
            Text(_distribution(report, document), style="dim"),
        )
    return table


def _distribution(report: Report, document: DocumentResult) -> str:
    counts = Counter(label for p in document.passages for label in report.labels_of(p.classification))
    shown = [f"{label} {count}" for label, count in counts.most_common(_SHOWN_LABELS)]
    return " · ".join(shown) + (" …" if len(counts) > _SHOWN_LABELS else "")


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
