// Answers: the words in the colours of the sources that they came from, and the sources beside them.

/** One answer: question, words, a strip of where they came from, what is doubtful, the sources. */
function answerCard(answer) {
  const several = answer.sources.length > 1;
  return el(
    "article",
    { class: "answer" },
    el("h3", { lang: languageOf(answer.question) }, answer.question),
    el(
      "p",
      { class: "said", lang: languageOf(answer.text) },
      answer.text
        ? answer.pieces.map(([text, source]) => el("span", { class: several ? "drawn" : "", style: hueOf(source), title: `[${source + 1}]` }, text))
        : W().noAnswer,
    ),
    answer.pieces.length
      ? el(
          "span",
          { class: "strip origin", role: "img", "aria-label": W().origin(answer.sources.map((source) => `[${source.number + 1}] ${percent(source.share)}`).join(", ")) },
          answer.pieces.map(([text, source]) => el("i", { style: { ...hueOf(source), "--length": text.length } })),
        )
      : null,
    answer.doubts.length ? el("p", { class: "doubt" }, W().unsettled, answer.doubts.map((code) => W().doubts[code]).join(W().and), W().stop) : null,
    answer.finished ? null : el("p", { class: "doubt" }, W().brokenOff),
    el("ol", { class: "sources" }, answer.sources.map(sourceItem)),
  );
}

function sourceItem(source) {
  const [before, words, behind] = source.quote;
  const name = source.document === null ? source.path : nameOf(DATA.documents[source.document]);
  return el(
    "li",
    { style: hueOf(source.number), value: source.number + 1 },
    el(
      "p",
      { class: "from" },
      source.document === null
        ? el("span", { class: "source" }, name)
        : el("button", { class: "quiet source", "data-key": `source${source.number}`, title: W().open, onclick: () => openDocument(source.document, source.passage) }, name),
      el("small", {}, joined(W().place(...source.at), W().shareOfAnswer(percent(source.share)))),
    ),
    el("blockquote", { lang: languageOf(before + words) }, before, words ? el("mark", {}, words) : null, behind),
  );
}

const percent = (share) => `${Math.round(100 * share)} %`;

function answers() {
  if (!DATA.answers) return null;
  return el("section", { class: "answers", "aria-label": W().answers }, el("h2", {}, W().answers, " ", el("small", {}, W().answersHint)), DATA.answers.given.map(answerCard));
}
