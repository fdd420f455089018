// Events: their spans in the text, a card with the graph of each, tables by type, and a table to take away.

const ROLES = EVENTS ? EVENTS.roles : [];
const TYPES = EVENTS ? EVENTS.types : [];
const typeName = (type) => TYPES[type].name;
// roles and types have colours of their own scale each, so that neighbours differ; -1 is the trigger
const roleHue = (role) => (role < 0 ? {} : hueOf(role));
const roleName = (role) => (role < 0 ? W().trigger : ROLES[role].name);
// a description may be in both languages, "中文 | English"
const described = (text) => {
  const parts = (text ?? "").split(" | ");
  return parts.length === 2 ? parts[state.language === "zh" ? 0 : 1] : (text ?? "");
};
/** What a role means in an event type, as its schema says it, else its name. */
const meaning = (role, type) => (role < 0 ? W().trigger : described(TYPES[type].descriptions[role]) || ROLES[role].name);
const roleClass = (role) => (role < 0 ? "role trigger" : "role");
const roleTitle = (role, type) => joined(meaning(role, type), meaning(role, type) === roleName(role) ? null : roleName(role));

/** Trigger and arguments of an event, the trigger first; `index` as in `unlinked`. */
function membersOf(event) {
  const members = [];
  if (event.trigger) {
    const [start, end, score, words] = event.trigger;
    members.push({ index: -1, role: -1, start, end, score, value: null, words });
  }
  event.arguments.forEach(([role, start, end, score, value, words], index) => members.push({ index, role, start, end, score, value, words }));
  return members;
}
// words stand in the data only where they are not in the event's own passage
const wordsOf = (event, member) => member.value ?? member.words ?? event.passage.text.slice(member.start, member.end);

/** The events of a passage that the filters let through. */
const isShown = (event) => (LABELLED || event.score >= state.minimum) && (state.types.size === 0 || state.types.has(event.type));
const shownEvents = (passage) => passage.events.filter(isShown);

/** Spans to mark in a passage: of its own events, and of events that begin in another passage. */
function marksOf(passage) {
  const own = shownEvents(passage).flatMap((event) =>
    membersOf(event)
      .filter((member) => member.start !== null)
      .map(({ role, start, end }) => ({ role, start, end, event })),
  );
  const guests = passage.marks.map(([p, e, role, start, end]) => ({ role, start, end, event: passage.document.passages[p].events[e] }));
  return [...own, ...guests.filter(({ event }) => isShown(event))];
}

/** The text of a passage: spans of its events coloured by role, what is searched for marked. */
function runningText(passage) {
  const marks = marksOf(passage);
  if (marks.length === 0) return marked(passage.text, state.needle);
  const cuts = [...new Set([0, passage.text.length, ...marks.flatMap((mark) => [mark.start, mark.end])])].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((from, i) => {
    const to = cuts[i + 1];
    const over = marks.filter((mark) => mark.start <= from && to <= mark.end);
    const text = marked(passage.text.slice(from, to), state.needle);
    if (over.length === 0) return text;
    // the shortest span lies on top; a line under the text for each other role that it has
    over.sort((a, b) => a.end - a.start - (b.end - b.start));
    const roles = [...new Set(over.map((mark) => mark.role))];
    const title = [...new Set(over.map((mark) => joined(ENTITIES ? null : typeName(mark.event.type), roleTitle(mark.role, mark.event.type))))].join("\n");
    return el(
      "span",
      { class: `span ${roleClass(roles[0])}`, style: roleHue(roles[0]), title, "data-events": over.map((mark) => mark.event.key).join(" ") },
      text,
      roles.slice(1, 4).map((role, n) => el("i", { class: roleClass(role), style: { ...roleHue(role), "--line": n }, "aria-hidden": "true" })),
    );
  });
}

/** An event type as a tag, with a score or a count. */
function typeTag(type, after) {
  return el(
    "span",
    { class: "tag type", style: hueOf(type), title: described(TYPES[type].description) || null },
    el("span", { class: "name" }, typeName(type)),
    after === undefined ? null : el("span", { class: "score" }, after),
  );
}

/** The types of some events, each once, with how often it occurs. */
function typeTags(events, most = 4) {
  const counts = new Map();
  for (const event of events) counts.set(event.type, (counts.get(event.type) ?? 0) + 1);
  const ranked = [...counts].sort((a, b) => b[1] - a[1]);
  const rest = ranked.length - most;
  return [ranked.slice(0, most).map(([type, count]) => typeTag(type, count > 1 ? `×${count}` : undefined)), rest > 0 ? el("span", { class: "tag without" }, `+${rest}`) : null];
}

// the tag's namespace from an element of the page itself, so that no address stands in the script
const drawn = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS(document.getElementById("drawing").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") for (const [property, v] of Object.entries(value)) element.style.setProperty(property, v);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
};

const GRAPH = { width: 280, height: 168, across: 78, down: 54, letters: 8 };

/** The event as a graph: a node for each member, a line where the model linked two, a dashed one where it did not. */
function graph(event) {
  const members = membersOf(event);
  const { width, height, across, down, letters } = GRAPH;
  const places = members.map((member, n) => {
    const angle = members.length === 2 ? n * Math.PI : (2 * Math.PI * n) / members.length - Math.PI / 2;
    const radius = members.length === 1 ? 0 : 1;
    return { member, x: width / 2 + across * radius * Math.cos(angle), y: height / 2 + down * radius * Math.sin(angle), side: Math.cos(angle) * radius, up: Math.sin(angle) * radius };
  });
  const missing = new Set(event.unlinked.map(([a, b]) => `${a} ${b}`));
  const lines = places.flatMap((a, n) =>
    places.slice(n + 1).map((b) =>
      drawn("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, class: missing.has(`${a.member.index} ${b.member.index}`) ? "unlinked" : "link" }),
    ),
  );
  const nodes = places.map(({ member, x, y, side, up }) => {
    const words = [...wordsOf(event, member)];
    const short = words.length > letters ? `${words.slice(0, letters - 1).join("")}…` : words.join("");
    const anchor = Math.abs(side) < 0.3 ? "middle" : side > 0 ? "start" : "end";
    const offset = anchor === "middle" ? { x, y: up > 0 ? y + 19 : y - 12 } : { x: x + Math.sign(side) * 11, y: y + 4 };
    return drawn(
      "g",
      { class: roleClass(member.role), style: roleHue(member.role) },
      drawn("title", {}, `${meaning(member.role, event.type)}: ${words.join("")}`),
      drawn("circle", { cx: x, cy: y, r: member.role < 0 ? 7 : 5.5 }),
      drawn("text", { ...offset, "text-anchor": anchor }, short),
    );
  });
  return drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "graph", role: "img", "aria-label": W().graphOf(typeName(event.type), members.length) }, lines, nodes);
}

/** Roles and what fills them, in the order of the schema; several arguments of a role under each other. */
function argumentList(event) {
  const members = membersOf(event).sort((a, b) => a.role - b.role);
  return el(
    "dl",
    { class: "arguments" },
    members.map((member, n) => [
      el("dt", { class: roleClass(member.role), style: roleHue(member.role), title: roleTitle(member.role, event.type) }, n && members[n - 1].role === member.role ? "" : meaning(member.role, event.type)),
      el("dd", {}, el("span", { class: "words", lang: languageOf(event.passage.text) }, wordsOf(event, member)), el("span", { class: "score" }, decimal(member.score))),
    ]),
  );
}

/** A card: type and score, graph, arguments. Pointing at it lights up its spans in `root`. */
function eventCard(event, root) {
  const light = (on) => () => {
    root()?.classList.toggle("lit", on);
    root()?.querySelectorAll(`[data-events~="${event.key}"]`).forEach((span) => span.classList.toggle("lit", on));
  };
  const members = membersOf(event).length;
  return el(
    "section",
    { class: "event", style: hueOf(event.type), "aria-label": typeName(event.type), tabindex: "-1", "data-event": event.key, onpointerenter: light(true), onpointerleave: light(false) },
    el("h3", {}, typeTag(event.type, decimal(event.score)), el("small", {}, joined(described(TYPES[event.type].description), event.unlinked.length ? W().loose(event.unlinked.length) : null))),
    el("div", { class: "parts" }, members > 1 ? graph(event) : null, argumentList(event)),
  );
}

/** Bars of the event types: all events in pale, those that match the other filters in full. */
function typeRows(result) {
  const rows = TYPES.map((type, number) => ({ type: number, name: type.name, all: type.events, documents: type.documents })).filter((row) => row.all);
  rows.sort((a, b) => b.all - a.all);
  const visible = state.allTypes ? rows : rows.slice(0, 12);
  const most = Math.max(1, ...rows.map((row) => row.all));
  return el(
    "section",
    { class: "labels types" },
    el("h2", {}, W().eventTypes, " ", el("small", {}, W().eventTypesHint)),
    rows.length ? null : el("p", { class: "meta" }, W().noEvents),
    el(
      "ul",
      {},
      visible.map((row) =>
        el(
          "li",
          {},
          el(
            "button",
            {
              class: "row",
              "aria-pressed": String(state.types.has(row.type)),
              style: { ...hueOf(row.type), "--all": row.all / most, "--now": result.perType[row.type] / most },
              title: described(TYPES[row.type].description) || null,
              onclick: () => update(() => (state.types.has(row.type) ? state.types.delete(row.type) : state.types.add(row.type))),
              "data-key": `type${row.type}`,
            },
            el("span", { class: "name" }, row.name),
            el("span", { class: "bar", "aria-hidden": "true" }),
            el("span", { class: "number" }, number(row.all)),
            el("span", { class: "number second" }, number(row.documents)),
          ),
        ),
      ),
    ),
    rows.length > 12 ? el("button", { class: "quiet", "data-key": "allTypes", onclick: () => update(() => (state.allTypes = !state.allTypes)) }, state.allTypes ? W().fewerTypes : W().allTypes(rows.length)) : null,
  );
}

/** Which colour is which role, for the roles that occur in a document. */
function legend(events) {
  const meanings = new Map(); // a role may mean different things in different types
  for (const event of events)
    for (const { role } of membersOf(event)) meanings.set(role, (meanings.get(role) ?? new Set()).add(meaning(role, event.type)));
  const roles = [...meanings].sort(([a], [b]) => a - b);
  return el(
    "p",
    { class: "legend" },
    roles.map(([role, names]) => el("span", { class: `span ${roleClass(role)}`, style: roleHue(role), title: roleName(role) }, [...names].slice(0, 3).join(" / "), names.size > 3 ? " …" : null)),
  );
}

/** A table for every event type: a row for every event, a column for every role that occurs. */
function eventTables(result) {
  const byType = new Map();
  for (const passage of result.passages) for (const event of shownEvents(passage)) byType.set(event.type, [...(byType.get(event.type) ?? []), event]);
  const types = [...byType].sort((a, b) => b[1].length - a[1].length);
  if (types.length === 0) return el("p", { class: "nothing" }, W().noEvents);
  return types.map(([type, events]) => {
    const roles = TYPES[type].roles.filter((role) => events.some((event) => event.arguments.some(([one]) => one === role)));
    const triggers = events.some((event) => event.trigger);
    const body = el("tbody");
    fillSlowly(body, events, (event) => eventRow(event, roles, triggers), 100);
    return el(
      "section",
      { class: "table", style: hueOf(type) },
      el(
        "h3",
        {},
        typeTag(type),
        el("small", {}, W().events(number(events.length))),
        el("button", { class: "quiet", onclick: () => save(`${typeName(type)}.csv`, csvOf(type, events, roles)) }, W().saveCsv),
      ),
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": typeName(type) },
        el(
          "table",
          {},
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              triggers ? el("th", { class: "role trigger", scope: "col" }, W().trigger) : null,
              roles.map((role) => el("th", { class: "role", style: roleHue(role), scope: "col", title: roleName(role) }, meaning(role, type))),
              el("th", { scope: "col" }, W().where),
              el("th", { scope: "col", class: "number" }, W().score),
            ),
          ),
          body,
        ),
      ),
    );
  });
}

function eventRow(event, roles, triggers) {
  const { passage } = event;
  const cell = (role) => membersOf(event).filter((member) => member.role === role).map((member) => el("div", { class: "words", lang: languageOf(passage.text) }, wordsOf(event, member)));
  return el(
    "tr",
    {},
    triggers ? el("td", {}, cell(-1)) : null,
    roles.map((role) => el("td", {}, cell(role))),
    el("td", {}, el("button", { class: "quiet source", title: W().open, onclick: () => openDocument(passage.document.number, passage.number) }, nameOf(passage.document))),
    el("td", { class: "number" }, decimal(event.score)),
  );
}

/** Rows as in the table, with the whole path; what a spreadsheet would run as a formula gets an apostrophe in front. */
function csvOf(type, events, roles) {
  const rows = [["document", "record", "start", "type", "score", ...(ENTITIES ? [] : ["trigger"]), ...roles.map((role) => ROLES[role].name), "passage"]];
  for (const event of events) {
    const of = (role) => membersOf(event).filter((member) => member.role === role).map((member) => wordsOf(event, member)).join("\n");
    const { passage } = event;
    const place = passage.document;
    rows.push([place.path, place.record ?? "", passage.at[0], typeName(type), event.score, ...(ENTITIES ? [] : [of(-1)]), ...roles.map(of), passage.text]);
  }
  const field = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `\ufeff${rows.map((row) => row.map(field).join(",")).join("\r\n")}\r\n`;
}

/** Let the browser save a text as a file. */
function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = el("a", { href: address, download: name.replaceAll(/[\\/:*?"<>|]/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
