// The list of what the pictures can be limited to, each with how many there are.

import { $, make, shortFolder } from "./views.js";

const FIRST = 6; // values that are shown before all are asked for
const STARS = { rejected: "Rejected", unrated: "Not rated" };

const KINDS = [
  { title: "Folder", name: "folder", of: "folders", text: shortFolder },
  { title: "Keyword", name: "keyword", of: "keywords" },
  { title: "Rating", name: "rating", of: "ratings", text: (it) => STARS[it] ?? "★".repeat(it) },
  { title: "Camera", name: "camera", of: "cameras" },
  { title: "Lens", name: "lens", of: "lenses" },
  { title: "Format", name: "format", of: "formats", text: (it) => it.toUpperCase() },
];

const open = new Set(); // kinds of which all are shown
const same = (a, b) => a.toLowerCase() === b.toLowerCase();

// change: what a click makes of the state
export function drawFacets(facets, state, change) {
  const held = $("kinds").contains(document.activeElement) ? document.activeElement.dataset : {};
  $("kinds").replaceChildren(
    ...KINDS.map((kind) => group(kind, facets[kind.of], state, change)).filter(Boolean),
  );
  // What was clicked is drawn anew, and keeps the focus.
  const again = [...$("kinds").querySelectorAll("button")].find(
    (button) => button.dataset.kind === held.kind && button.dataset.value === held.value,
  );
  if (held.kind) (again ?? $("kinds").querySelector("button"))?.focus({ preventScroll: true });
}

function group(kind, facet, state, change) {
  const chosen = [state[kind.name]].flat().filter(Boolean);
  const lost = chosen.filter((value) => !facet.values.some(([other]) => same(other, value)));
  const values = [...lost.map((value) => [value, 0]), ...facet.values];
  if (values.length < 2 && !chosen.length && kind.name !== "keyword") return null;
  if (!values.length) return null;
  const isChosen = ([value]) => chosen.some((other) => same(other, value));
  const first = values.filter((value, i) => i < FIRST || isChosen(value));
  const shown = open.has(kind.name) ? values : first;
  const list = make("ul", {}, ...shown.map((value) => row(kind, value, isChosen(value), state, change)));
  const box = make("section", {}, make("h2", { textContent: kind.title }), list);
  if (values.length > first.length) {
    const all = open.has(kind.name);
    const more = make("button", {
      type: "button", className: "more-values",
      textContent: all ? "Fewer" : `${values.length - first.length} more`,
    });
    Object.assign(more.dataset, { kind: kind.name, value: "" });
    more.setAttribute("aria-expanded", String(all));
    more.addEventListener("click", () => {
      open[all ? "delete" : "add"](kind.name);
      change({});
    });
    box.append(more);
  }
  if (open.has(kind.name) && facet.more) {
    const text = `and ${facet.more.toLocaleString("en")} rarer ones`;
    box.append(make("p", { className: "rarer", textContent: text }));
  }
  return box;
}

function row(kind, [value, count], isChosen, state, change) {
  const text = make("bdi", { textContent: kind.text?.(value) ?? value });
  const number = make("span", { className: "count", textContent: count.toLocaleString("en") });
  const button = make("button", { type: "button", title: value }, text, number);
  button.setAttribute("aria-pressed", String(isChosen));
  Object.assign(button.dataset, { kind: kind.name, value });
  button.addEventListener("click", () => {
    const several = Array.isArray(state[kind.name]);
    const rest = several ? state[kind.name].filter((other) => !same(other, value)) : "";
    const added = several ? [...rest, value] : value;
    change({ [kind.name]: isChosen ? rest : added });
  });
  return make("li", {}, button);
}
