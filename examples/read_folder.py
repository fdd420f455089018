"""Read a folder of documents and write a report: python examples/read_folder.py [FOLDER]"""

from __future__ import annotations

import sys
from pathlib import Path

from ironwok import read

SAMPLES = Path(__file__).parent / "documents" / "announcements"


def main(folder: Path) -> None:
    report = read(folder, labels=["财经", "产品召回", "学校通知"], out="report")
    for document in report.documents:
        passages = len(document.passages)
        print(f"{Path(document.document).name}: {document.classification.label}, {passages} passages")

    # every passage knows where it stands in its document
    surest = max(report.passages, key=lambda passage: passage.classification.score)
    document = next(one for one in report.documents if surest in one.passages)
    span = surest.span
    assert document.text[span.start : span.end] == span.text
    print(f"surest: {surest.classification.label}, characters {span.start} to {span.end}: {span.text[:20]}…")

    print(f"open {report.page.resolve()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
