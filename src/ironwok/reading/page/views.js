// The parts of the page, each built anew from the data and the state.

/** Label bars: all passages in pale, those that match the other filters in full. */
function labelRows(result) {
  const rows = DATA.labels.map((name, label) => ({ label, name, all: DATA.labelPassages[label], documents: DATA.labelDocuments[label] }));
  rows.sort((a, b) => b.all - a.all);
  const visible = state.allLabels ? [...rows] : rows.slice(0, 16);
  if (DATA.without.passages) visible.push({ label: -1, name: W().none, all: DATA.without.passages, documents: DATA.without.documents });
  const most = Math.max(1, ...visible.map((row) => row.all));
  const list = visible.map((row) =>
    el(
      "li",
      {},
      el(
        "button",
        {
          class: row.label < 0 ? "row without" : "row",
          "aria-pressed": String(state.labels.has(row.label)),
          style: { ...(row.label < 0 ? {} : hueOf(row.label)), "--all": row.all / most, "--now": result.perLabel.at(row.label) / most },
          onclick: () => update(() => (state.labels.has(row.label) ? state.labels.delete(row.label) : state.labels.add(row.label))),
          "data-key": `label${row.label}`,
        },
        el("span", { class: "name" }, row.name),
        el("span", { class: "bar", "aria-hidden": "true" }),
        el("span", { class: "number" }, number(row.all)),
        el("span", { class: "number second" }, number(row.documents)),
      ),
    ),
  );
  const rest =
    rows.length > 16
      ? el(
          "button",
          { class: "quiet", "data-key": "all", onclick: () => update(() => (state.allLabels = !state.allLabels)) },
          state.allLabels ? W().fewerLabels : W().allLabels(rows.length),
        )
      : null;
  return el("section", { class: "labels" }, el("h2", {}, W().labels, " ", el("small", {}, W().labelsHint)), el("ul", {}, list), rest);
}

/** Passages by best score in twenty columns, and the slider that cuts them. */
function confidence() {
  const columns = new Array(20).fill(0);
  const measured = LABELLED ? ALL.map((passage) => passage.best) : ALL.flatMap((passage) => passage.events.map((event) => event.score));
  for (const score of measured) columns[Math.min(19, Math.floor(score * 20))]++;
  const most = Math.max(1, ...columns);
  const chance = DATA.multiLabel || DATA.labels.length < 2 ? null : 1 / DATA.labels.length;
  const slider = el("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    value: state.minimum,
    "aria-label": W().minimum,
    "data-key": "minimum",
    oninput: (event) => update(() => (state.minimum = Number(event.target.value))),
  });
  return el(
    "section",
    { class: "confidence" },
    el("h2", {}, W().confidence, " ", el("small", {}, LABELLED ? W().confidenceHint : W().eventConfidenceHint)),
    el(
      "div",
      { class: "columns", "aria-hidden": "true" },
      columns.map((count, i) => el("i", { class: i / 20 >= state.minimum - 1e-9 ? "in" : "", style: { "--share": count / most }, title: `${decimal(i / 20)}+  ${count}` })),
      chance === null ? null : el("b", { style: { "--at": chance } }, W().chance),
    ),
    el("div", { class: "slider" }, slider, el("output", {}, `≥ ${state.minimum.toFixed(2)}`)),
  );
}

/** Colour and name of a passage in a strip: its label, or without labels its first event's type; null for neither. */
function stripMark(passage) {
  if (passage.labels.length) return { hue: hueOf(passage.labels[0]), name: passage.labels.map((l) => DATA.labels[l]).join(" ") };
  if (LABELLED || passage.events.length === 0) return null;
  return { hue: hueOf(passage.events[0].type), name: [...new Set(passage.events.map((event) => typeName(event.type)))].join(" ") };
}

/** Passages of a document as a strip in reading order, as long as they are. */
function strip(document, go) {
  return el(
    "span",
    { class: "strip", "aria-hidden": go ? null : "true" },
    document.passages.slice(0, 400).map((passage, p) => {
      const mark = stripMark(passage);
      return el(go ? "button" : "i", {
        class: (mark ? "" : "without ") + (passage.matches ? "" : "out"),
        style: { "--length": passage.text.length, ...(mark?.hue ?? {}) },
        ...(go ? { onclick: () => go(p), title: `${W().passage(p + 1)} ${mark?.name ?? (LABELLED ? W().none : "")}`, tabindex: "-1", "aria-hidden": "true" } : {}),
      });
    }),
  );
}

function documentList(result) {
  const list = el("ol", { class: "list", "aria-label": W().byDocument });
  fillSlowly(
    list,
    result.documents,
    (document) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            "aria-current": document.number === state.open ? "true" : null,
            "data-key": `document${document.number}`,
            onclick: () => openDocument(document.number),
          },
          el("span", { class: "title", lang: languageOf(nameOf(document)) }, nameOf(document)),
          LABELLED ? tag(document.labels[0], document.scores[0]?.[1]) : el("span", { class: "tags" }, typeTags(document.passages.flatMap(shownEvents), 2)),
          el("span", { class: "path" }, document.title ? joined(document.name, placeInFile(document)) : document.passages[0].text.slice(0, 60)),
          strip(document),
        ),
      ),
    120,
  );
  return list;
}

/** A document: its labels, what carries them, and the running text with every passage in its place. */
function documentView(document, { headingLevel = "h2" } = {}) {
  const text = el("div", { class: "text", lang: languageOf(document.passages.map((passage) => passage.text).join("").slice(0, 400)) });
  // cards end a paragraph by themselves
  const before = (passage, p) => (p && !ENTITIES && shownEvents(document.passages[p - 1]).length ? passage.before.replace(/^[\r\n]+/, "") : passage.before);
  const build = fillSlowly(text, document.passages, (passage, p) => [before(passage, p), passageInText(passage)], 200);
  const go = (p) => {
    build(p + 1);
    const target = text.querySelectorAll(":scope > .passage")[p];
    target.scrollIntoView({ block: "center" });
    target.querySelector(".note")?.focus({ preventScroll: true });
  };
  const events = document.passages.flatMap(shownEvents);
  const top = document.labels[0];
  const carried = document.passages
    .map((passage) => [passage, passage.scores.find(([label]) => label === top)?.[1] ?? 0])
    .filter(([, score]) => score > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3);
  const characters = document.passages.reduce((sum, passage) => sum + [...passage.text].length, 0);
  const article = el(
    "article",
    { class: `document${EVENTS ? " with-events" : ""}${LABELLED ? "" : " without-labels"}` },
    el("button", { class: "back quiet", onclick: () => update(() => (state.inDocument = false)) }, `← ${W().back}`),
    el(
      "header",
      {},
      el(headingLevel, { tabindex: "-1", lang: languageOf(nameOf(document)) }, nameOf(document)),
      el(
        "p",
        { class: "meta", title: document.path },
        joined(document.title && document.name, document.title && placeInFile(document), W().passages(document.passages.length), W().characters(number(characters)), EVENTS && W().events(number(events.length))),
      ),
      LABELLED
        ? el(
            "div",
            { class: "verdict" },
            el("div", { class: "tags" }, document.labels.length ? document.labels.map((label) => tag(label)) : tag()),
            scoreBars(document.scores, 4),
          )
        : null,
      events.length ? el("div", { class: "verdict types" }, el("div", { class: "tags" }, typeTags(events, 8))) : null,
      document.passages.length > 1 ? strip(document, go) : null,
      carried.length && document.passages.length > 1
        ? el(
            "p",
            { class: "carried" },
            W().strongest,
            carried.map(([passage, score]) =>
              el("button", { class: "quiet", onclick: () => go(passage.number) }, `${W().passage(passage.number + 1)} ${decimal(score)}`),
            ),
          )
        : null,
      events.length ? legend(events) : null,
    ),
    text,
  );
  return { article, go, build };
}

function passageInText(passage) {
  const label = passage.labels[0];
  const events = shownEvents(passage);
  const note = LABELLED ? el(
    "button",
    { class: "note", "aria-expanded": "false", "aria-label": `${W().passage(passage.number + 1)} ${passage.labels.map((l) => DATA.labels[l]).join(" ") || W().none} ${decimal(passage.best)}` },
    tags(passage),
  ) : null;
  // an inline block element, since its scores are a list
  const span = el(
    "div",
    { class: `passage${label === undefined ? " without" : ""}${passage.matches ? "" : " out"}`, style: label === undefined ? {} : hueOf(label) },
    note,
    runningText(passage),
    events.length && !ENTITIES ? el("div", { class: "events" }, events.map((event) => eventCard(event, () => span.closest(".text")))) : null,
  );
  if (!note) return span;
  let detail = null;
  note.addEventListener("click", () => {
    if (detail) {
      detail.remove();
      detail = null;
    } else {
      detail = el(
        "div",
        { class: "detail" },
        scoreBars(passage.scores, MOST_SCORES),
        el("span", { class: "place" }, joined(W().passage(passage.number + 1), passage.page && W().page(passage.page), W().place(passage.at[0], passage.at[1]))),
      );
      span.append(detail);
    }
    note.setAttribute("aria-expanded", String(detail !== null));
  });
  return span;
}
const MOST_SCORES = 12;

function passageList(result) {
  const list = el("ol", { class: "cards", "aria-label": W().byPassage });
  fillSlowly(
    list,
    ordered(result.passages),
    (passage) =>
      el(
        "li",
        { class: passage.labels.length ? "card" : "card without", style: passage.labels.length ? hueOf(passage.labels[0]) : {} },
        el("p", { class: "text", lang: languageOf(passage.text) }, runningText(passage)),
        el(
          "div",
          { class: "aside" },
          tags(passage),
          typeTags(shownEvents(passage)),
          scoreBars(passage.scores.filter(([label]) => !passage.labels.includes(label)), 2),
          el("button", { class: "quiet source", title: W().open, onclick: () => openDocument(passage.document.number, passage.number) }, nameOf(passage.document)),
        ),
      ),
    60,
  );
  return list;
}
