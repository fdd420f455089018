// Puts the parts together, keeps them up to date, remembers the place in the address.

const page = document.getElementById("page");
const NARROW = matchMedia("(max-width: 60rem)"); // as in report.css
let opened = null; // what documentView returned for the document on the screen

/** Change the state, build the page anew, keep the focus where it was. */
function update(change) {
  const key = document.activeElement?.dataset?.key;
  const caret = document.activeElement?.selectionStart;
  const scrolled = document.querySelector(".list")?.scrollTop ?? 0;
  change();
  show();
  const list = document.querySelector(".list");
  if (list) list.scrollTop = scrolled;
  const focused = key && document.querySelector(`[data-key="${key}"]`);
  if (focused) {
    focused.focus({ preventScroll: true });
    if (focused.type === "search") focused.setSelectionRange(caret, caret);
  }
}

function openDocument(d, p) {
  const from = window.scrollY;
  update(() => Object.assign(state, { open: d, view: "documents", inDocument: true }));
  history.replaceState(null, "", p === undefined ? `#d${d + 1}` : `#d${d + 1}p${p + 1}`);
  if (p !== undefined) return opened.go(p);
  const tools = document.querySelector(".tools");
  // beside the list the document is in sight already; on a narrow screen it takes the place of the list
  window.scrollTo(0, NARROW.matches ? tools.offsetTop : Math.min(from, tools.offsetTop));
  opened.article.querySelector("h2").focus({ preventScroll: true });
}

function header() {
  const totals = DATA.totals;
  const theme = document.documentElement.dataset.theme ?? "auto";
  const next = { auto: "light", light: "dark", dark: "auto" }[theme];
  return el(
    "header",
    { class: "top" },
    el("p", { class: "mark" }, "Ironwok"),
    el("h1", {}, DATA.title),
    el("p", { class: "meta" }, joined(W().documents(number(totals.documents)), W().passages(number(totals.passages)), W().characters(number(totals.characters)), EVENTS && W().events(number(totals.events)), DATA.model, EVENTS && EVENTS.model, DATA.answers && DATA.answers.model, DATA.made)),
    el(
      "div",
      { class: "switches" },
      el("button", { class: "quiet", "data-key": "language", lang: state.language === "en" ? "zh-Hans" : "en", onclick: () => update(() => (state.language = state.language === "en" ? "zh" : "en")) }, W().language),
      el("button", { class: "quiet", "data-key": "theme", onclick: () => update(() => (next === "auto" ? delete document.documentElement.dataset.theme : (document.documentElement.dataset.theme = next))) }, W().theme[theme]),
    ),
  );
}

function tools(result) {
  const choice = (key, label) =>
    el("button", { "aria-pressed": String(state.view === key), "data-key": `view${key}`, onclick: () => update(() => (state.view = key)) }, label);
  return el(
    "div",
    { class: "tools", role: "search" },
    el("input", { type: "search", placeholder: W().search, "aria-label": W().search, value: state.needle, "data-key": "search", oninput: searched, oncompositionend: searched }),
    el("div", { class: "views", role: "group", "aria-label": W().view }, choice("documents", W().byDocument), choice("passages", W().byPassage), EVENTS ? choice("events", W().byEvent) : null),
    state.view === "passages"
      ? el(
          "select",
          { "aria-label": W().order, "data-key": "order", onchange: (event) => update(() => (state.order = event.target.value)) },
          Object.entries(W().orders).map(([key, label]) => el("option", { value: key, selected: key === state.order }, label)),
        )
      : null,
    el("p", { class: "count", role: "status" }, state.view === "events" ? W().events(number(result.passages.flatMap(shownEvents).length)) : W().shown(number(result.passages.length), number(ALL.length))),
    filtered() ? el("button", { class: "quiet", onclick: () => update(() => Object.assign(state, { labels: new Set(), types: new Set(), needle: "", minimum: 0 })) }, W().clear) : null,
  );
}

let waiting = null;
function searched(event) {
  clearTimeout(waiting);
  if (event.isComposing) return; // an input method is still choosing characters; its end comes as an event of its own
  const value = event.target.value.toLowerCase();
  waiting = setTimeout(() => update(() => (state.needle = value)), 150);
}

function work(result) {
  if (result.passages.length === 0) {
    opened = null;
    return el("main", { class: "work" }, el("p", { class: "nothing" }, ALL.length ? W().nothing : W().empty));
  }
  if (state.view === "events") {
    opened = null;
    return el("main", { class: "work" }, eventTables(result));
  }
  if (state.view === "passages") {
    opened = null;
    return el("main", { class: "work" }, passageList(result));
  }
  if (!result.counts.has(DATA.documents[state.open])) state.open = result.documents[0].number;
  opened = documentView(DATA.documents[state.open]);
  return el("main", { class: `work two ${state.inDocument ? "in-document" : ""}` }, documentList(result), opened.article);
}

function footer() {
  const facts = [
    [W().model, DATA.model],
    [W().eventModel, EVENTS && EVENTS.model],
    [W().answerModel, DATA.answers && DATA.answers.model],
    [W().template, DATA.template],
    [W().adapted, DATA.adapted && W().passages(number(DATA.adapted))],
    [W().threshold, DATA.threshold],
    [W().made, `${DATA.made} · Ironwok ${DATA.version}`],
  ].filter(([, value]) => value !== null);
  return el(
    "footer",
    {},
    DATA.skipped.length
      ? el(
          "details",
          { class: "skipped" },
          el("summary", {}, W().skipped(number(DATA.skipped.length))),
          el(
            "ul",
            {},
            DATA.skipped.map((skip) => el("li", {}, skip.reason)), // which names the file and the line
          ),
        )
      : null,
    el("h2", {}, W().how),
    el("p", {}, LABELLED ? `${DATA.multiLabel ? W().multi : W().single} ` : "", EVENTS ? `${W().eventsHow} ` : "", DATA.answers ? `${W().answersHow} ` : "", LABELLED || EVENTS ? W().files : ""),
    el("dl", {}, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))),
  );
}

function show() {
  document.documentElement.lang = state.language === "zh" ? "zh-Hans" : "en";
  const result = found();
  const truncated = DATA.totals.shownPassages < DATA.totals.passages;
  page.replaceChildren(
    header(),
    answers() ?? "",
    LABELLED || EVENTS
      ? el("div", { class: "overview" }, LABELLED ? labelRows(result) : typeRows(result), confidence(), LABELLED && EVENTS ? typeRows(result) : null)
      : "",
    truncated ? el("p", { class: "truncated" }, W().truncated(number(DATA.totals.shownPassages), number(DATA.totals.passages))) : "",
    tools(result),
    work(result),
    footer(),
  );
}

// On paper: the overview, then every matching document in full.
const PRINTED_PASSAGES = 3000;
window.addEventListener("beforeprint", () => {
  const paper = el("div", { class: "paper" });
  let printed = 0;
  for (const matching of found().documents) {
    printed += matching.passages.length;
    if (printed > PRINTED_PASSAGES) break;
    const view = documentView(matching);
    view.build(matching.passages.length);
    paper.append(view.article);
  }
  document.querySelector("footer").before(paper);
});
window.addEventListener("afterprint", () => document.querySelectorAll(".paper").forEach((paper) => paper.remove()));

document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.querySelector("[type=search]").focus();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.closest?.(".list")) {
    const item = event.target.closest("li");
    const next = event.key === "ArrowDown" ? item.nextElementSibling : item.previousElementSibling;
    const button = next?.querySelector("button");
    if (button) {
      event.preventDefault();
      button.focus();
    }
  }
});

function followAddress() {
  const place = /^#d(\d+)(?:p(\d+))?$/.exec(location.hash);
  const d = place ? Number(place[1]) - 1 : -1;
  if (!DATA.documents[d]) return;
  const p = place[2] === undefined ? undefined : Number(place[2]) - 1;
  openDocument(d, DATA.documents[d].passages[p] ? p : undefined);
}

show();
followAddress();
window.addEventListener("hashchange", followAddress);
