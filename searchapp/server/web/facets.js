// Lists of values to filter by, each with its number of pictures.

import { $, createElement, shortenFolder } from "./views.js";

const COLLAPSED_COUNT = 6; // values that are shown until the user expands a list
const RATING_LABELS = { rejected: "Rejected", unrated: "Not rated" };

// name: the filter that a click sets. field: the values in the answer of the API.
const FACETS = [
  { title: "Folder", name: "folder", field: "folders", format: shortenFolder },
  { title: "Keyword", name: "keyword", field: "keywords" },
  { title: "Rating", name: "rating", field: "ratings", format: formatRatingRange },
  { title: "Camera", name: "camera", field: "cameras" },
  { title: "Lens", name: "lens", field: "lenses" },
  { title: "Format", name: "format", field: "formats", format: (name) => name.toUpperCase() },
];

const expandedFacets = new Set(); // names of the facets whose values are all shown
const isSameValue = (a, b) => a.toLowerCase() === b.toLowerCase();

function formatRatingRange(rating) {
  return RATING_LABELS[rating] ?? "★".repeat(rating);
}

// Draw all lists. change: called with the changed filters when the user clicks a value.
export function drawFacets(answer, state, change) {
  const lists = $("kinds");
  const focused = lists.contains(document.activeElement) ? document.activeElement.dataset : {};
  lists.replaceChildren(
    ...FACETS.map((facet) => makeList(facet, answer[facet.field], state, change)).filter(Boolean),
  );
  // The clicked button was replaced: the new button gets the focus.
  const successor = [...lists.querySelectorAll("button")].find(
    (button) => button.dataset.kind === focused.kind && button.dataset.value === focused.value,
  );
  if (focused.kind) (successor ?? lists.querySelector("button"))?.focus({ preventScroll: true });
}

function makeList(facet, { values: knownValues, more: omittedCount }, state, change) {
  const chosen = [state[facet.name]].flat().filter(Boolean);
  const isKnown = (value) => knownValues.some(([other]) => isSameValue(other, value));
  const missing = chosen.filter((value) => !isKnown(value));
  const values = [...missing.map((value) => [value, 0]), ...knownValues];
  if (values.length < 2 && !chosen.length && facet.name !== "keyword") return null;
  if (!values.length) return null;
  const isChosen = ([value]) => chosen.some((other) => isSameValue(other, value));
  const collapsed = values.filter((value, i) => i < COLLAPSED_COUNT || isChosen(value));
  const isExpanded = expandedFacets.has(facet.name);
  const rows = (isExpanded ? values : collapsed).map((value) =>
    makeRow(facet, value, isChosen(value), state, change),
  );
  const section = createElement(
    "section",
    {},
    createElement("h2", { textContent: facet.title }),
    createElement("ul", {}, ...rows),
  );
  if (values.length > collapsed.length) {
    section.append(makeExpandButton(facet, values.length - collapsed.length, isExpanded, change));
  }
  if (isExpanded && omittedCount) {
    const text = `and ${omittedCount.toLocaleString("en")} less frequent values`;
    section.append(createElement("p", { className: "rarer", textContent: text }));
  }
  return section;
}

function makeExpandButton(facet, hiddenCount, isExpanded, change) {
  const button = createElement("button", {
    type: "button", className: "more-values",
    textContent: isExpanded ? "Fewer" : `${hiddenCount} more`,
  });
  Object.assign(button.dataset, { kind: facet.name, value: "" });
  button.setAttribute("aria-expanded", String(isExpanded));
  button.addEventListener("click", () => {
    expandedFacets[isExpanded ? "delete" : "add"](facet.name);
    change({});
  });
  return button;
}

function makeRow(facet, [value, count], isChosen, state, change) {
  const text = createElement("bdi", { textContent: facet.format?.(value) ?? value });
  const countText = count.toLocaleString("en");
  const number = createElement("span", { className: "count", textContent: countText });
  const button = createElement("button", { type: "button", title: value }, text, number);
  button.setAttribute("aria-pressed", String(isChosen));
  Object.assign(button.dataset, { kind: facet.name, value });
  button.addEventListener("click", () => {
    const isList = Array.isArray(state[facet.name]);
    const others = isList ? state[facet.name].filter((other) => !isSameValue(other, value)) : "";
    const added = isList ? [...others, value] : value;
    change({ [facet.name]: isChosen ? others : added });
  });
  return createElement("li", {}, button);
}
