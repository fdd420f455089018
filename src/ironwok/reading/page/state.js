// The data, what the reader has chosen, and what matches it.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LABELLED = DATA.labels.length > 0; // else no labels were asked for
const EVENTS = DATA.events; // null where neither events nor entities were asked for
const ENTITIES = EVENTS?.task === "entities"; // then an event is an entity, with its type for its only role
const state = {
  language: DATA.language,
  labels: new Set(), // numbers; -1 stands for "no label"
  types: new Set(), // numbers of event types
  needle: "",
  minimum: 0,
  view: "documents",
  order: "reading",
  open: 0, // number of the document on the right
  allLabels: false,
  allTypes: false,
  inDocument: false, // narrow screens show either the list or the document
};
const W = () => (ENTITIES ? { ...WORDS[state.language], ...WORDS[state.language].ofEntities } : WORDS[state.language]);
const number = (n) => n.toLocaleString("en-US");

const ALL = []; // every passage, in reading order
DATA.documents.forEach((document, d) => {
  document.number = d;
  document.passages.forEach((passage, p) => {
    passage.document = document;
    passage.number = p;
    passage.events.forEach((event, e) => Object.assign(event, { passage, key: `${d}-${p}-${e}` }));
    // without labels a passage is as sure as its surest event
    passage.best = LABELLED ? (passage.scores[0]?.[1] ?? 0) : Math.max(0, ...passage.events.map((event) => event.score));
    ALL.push(passage);
  });
});

/** Where in its file a record stands: by its line, else by its number; null for a whole file. */
function placeInFile({ line, record }) {
  if (line !== null) return W().line(line);
  return record === null ? null : W().record(record + 1);
}
const joined = (...parts) => parts.filter(Boolean).join(" · ");
const nameOf = (document) => document.title || joined(document.name, placeInFile(document));

function hasLabel(passage, labels) {
  if (labels.size === 0) return true;
  return passage.labels.length ? passage.labels.some((label) => labels.has(label)) : labels.has(-1);
}

function hasType(passage) {
  return state.types.size === 0 || passage.events.some((event) => state.types.has(event.type));
}

function hasText(passage) {
  if (!state.needle) return true;
  passage.lower ??= passage.text.toLowerCase();
  return passage.lower.includes(state.needle);
}

/**
 * Matching passages; per label (`length` = none) those that match apart from the choice of labels, and per event type
 * the events that match apart from the choice of types.
 */
function found() {
  const perLabel = new Array(DATA.labels.length + 1).fill(0);
  const perType = new Array(EVENTS ? EVENTS.types.length : 0).fill(0);
  const passages = ALL.filter((passage) => {
    const basic = passage.best >= state.minimum && hasText(passage);
    const [label, type] = [hasLabel(passage, state.labels), hasType(passage)];
    if (basic && type) for (const one of passage.labels.length ? passage.labels : [DATA.labels.length]) perLabel[one]++;
    if (basic && label) for (const event of passage.events) if (LABELLED || event.score >= state.minimum) perType[event.type]++;
    passage.matches = basic && label && type;
    return passage.matches;
  });
  const counts = new Map();
  for (const passage of passages) counts.set(passage.document, (counts.get(passage.document) ?? 0) + 1);
  return { passages, perLabel, perType, counts, documents: DATA.documents.filter((document) => counts.has(document)) };
}

function ordered(passages) {
  if (state.order === "reading") return passages;
  const sign = state.order === "sure" ? -1 : 1;
  return [...passages].sort((a, b) => sign * (a.best - b.best));
}

const filtered = () => state.labels.size > 0 || state.types.size > 0 || state.needle !== "" || state.minimum > 0;
