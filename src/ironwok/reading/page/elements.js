// Small helpers that build the page out of elements and text nodes; markup in a document's text stays text.

/** An element. Attributes: `on…` listeners, `style` as custom properties, booleans as present or absent. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [property, v] of Object.entries(value)) element.style.setProperty(property, v);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with every occurrence of `needle` (lower case) marked. */
function marked(text, needle) {
  if (!needle) return [text];
  const lower = text.toLowerCase();
  // a few letters change their length in lower case; then places would not fit
  if (lower.length !== text.length) return [text];
  const pieces = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at !== -1; at = lower.indexOf(needle, from)) {
    pieces.push(text.slice(from, at), el("mark", {}, text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  pieces.push(text.slice(from));
  return pieces;
}

/** Script of a text, so that the browser picks fitting glyphs and line breaks. */
function languageOf(text) {
  const start = text.slice(0, 400);
  if (/[\u3040-\u30ff]/.test(start)) return "ja";
  if (/[\uac00-\ud7af]/.test(start)) return "ko";
  return /[\u4e00-\u9fff]/.test(start) ? "zh-Hans" : "en";
}

/**
 * Fill `parent` with what `make` builds from `items`, some at a time: the rest follows as the reader scrolls near it.
 * Returns a function that builds everything up to an item at once (for jumps and for print).
 */
function fillSlowly(parent, items, make, step) {
  let built = 0;
  const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && build(built + step), {
    rootMargin: "800px",
  });
  const end = el("div", { class: "end", "aria-hidden": "true" });
  parent.append(end);
  function build(until) {
    const fragment = document.createDocumentFragment();
    for (; built < Math.min(until, items.length); built++) fragment.append(...[make(items[built], built)].flat());
    end.before(fragment);
    observer.disconnect();
    // observed again, so that it reports again where it is still near
    if (built < items.length) observer.observe(end);
    else end.remove();
  }
  build(step);
  return build;
}

const hueOf = (label) => ({ "--hue": HUES[label % HUES.length] + 13 * Math.floor(label / HUES.length) });
// neighbours in the list lie far apart on the circle
const HUES = [250, 45, 150, 330, 95, 200, 15, 285, 125, 225, 65, 305];

const decimal = (score) => (score >= 0.995 ? "1.0" : score.toFixed(2).replace(/^0/, ""));

/** A label's name with its score; grey where there is none. */
function tag(label, score) {
  const name = label === undefined ? W().none : DATA.labels[label];
  return el(
    "span",
    { class: label === undefined ? "tag without" : "tag", style: label === undefined ? {} : hueOf(label) },
    el("span", { class: "name" }, name),
    score === undefined ? null : el("span", { class: "score" }, decimal(score)),
  );
}

/** All labels of a passage with their scores; where it has none, the best score that was not enough. */
function tags(passage) {
  if (!LABELLED) return [];
  if (passage.labels.length === 0) return tag(undefined, passage.best);
  const scores = new Map(passage.scores);
  return passage.labels.map((label) => tag(label, scores.get(label)));
}

/** The scores of a passage or document as small bars. */
function scoreBars(scores, most) {
  if (!LABELLED) return null;
  return el(
    "ul",
    { class: "scores", "aria-label": W().scores },
    scores.slice(0, most).map(([label, score]) =>
      el(
        "li",
        { style: { ...hueOf(label), "--share": score } },
        el("span", { class: "name" }, DATA.labels[label]),
        el("span", { class: "bar", "aria-hidden": "true" }),
        el("span", { class: "number" }, decimal(score)),
      ),
    ),
  );
}
