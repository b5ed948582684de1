// Lists of values to filter by, each with its number of pictures.

import { isSameValue, toggleValue } from "./filters.js";
import { formatNumber, text } from "./texts.js";
import { $, createElement, createIcon, formatFolderName, formatRating } from "./views.js";
import { shortenFolder } from "./views.js";

const COLLAPSED_COUNT = 6; // values that are shown until the user expands a list
const FACETS = [
  { name: "folder", field: "folders", format: formatFolderName },
  { name: "keyword", field: "keywords" },
  { name: "rating", field: "ratings", format: formatRating },
  { name: "camera", field: "cameras" },
  { name: "lens", field: "lenses" },
  { name: "place", field: "place_names" },
  { name: "format", field: "formats", format: (name) => name.toUpperCase() },
]; // name: the filter that a click sets, and the key of its title. field: the values in the answer of the API.

const expandedFacets = new Set(); // names of the facets whose values are all shown
const foldedFacets = new Set(readFolded()); // names of the facets that show only their title

function readFolded() {
  try {
    const stored = JSON.parse(localStorage.getItem("folded") ?? "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}

function toggleFold(name) {
  foldedFacets[foldedFacets.has(name) ? "delete" : "add"](name);
  try {
    localStorage.setItem("folded", JSON.stringify([...foldedFacets]));
  } catch {
    // Without storage, the fold lasts until the page is closed.
  }
}

// Draw all lists. isSearched: the answer has only values that contain a text of the user.
// change: called with the changed filters when the user clicks a value; an empty change redraws.
export function drawFacets(answer, state, isSearched, change) {
  const lists = $("kinds");
  const focused = lists.contains(document.activeElement) ? document.activeElement.dataset : {};
  const sections = FACETS.map((facet) =>
    makeSection(facet, answer[facet.field], state, isSearched, change),
  ).filter(Boolean);
  lists.replaceChildren(...sections);
  $("find-none").hidden = !isSearched || sections.length > 0;
  // The clicked button was replaced: the new button gets the focus.
  const successor = [...lists.querySelectorAll("button")].find(
    (button) => button.dataset.kind === focused.kind && button.dataset.value === focused.value,
  );
  if (focused.kind) (successor ?? lists.querySelector("button"))?.focus({ preventScroll: true });
}

function makeSection(facet, { values: knownValues, more: omittedCount }, state, isSearched, change) {
  if (isSearched && facet.name === "rating") return null;
  const chosen = state[facet.name];
  const isKnown = (value) => knownValues.some(([other]) => isSameValue(other, value));
  const missing = isSearched ? [] : chosen.filter((value) => !isKnown(value));
  const values = [...missing.map((value) => [value, 0]), ...knownValues];
  if (!values.length) return null;
  if (values.length < 2 && !chosen.length && !isSearched && facet.name !== "keyword") return null;
  const isFolded = foldedFacets.has(facet.name) && !isSearched;
  const heading = makeHeading(facet, isFolded, chosen.length, change);
  const section = createElement("section", { className: "facet" }, heading);
  if (isFolded) return section;
  const isChosen = ([value]) => chosen.some((other) => isSameValue(other, value));
  const collapsed = values.filter((value, i) => i < COLLAPSED_COUNT || isChosen(value));
  const isExpanded = expandedFacets.has(facet.name);
  const rows = (isExpanded ? values : collapsed).map((value) =>
    makeRow(facet, value, isChosen(value), state, change),
  );
  section.append(createElement("ul", {}, ...rows));
  if (facet.name === "keyword" && chosen.length > 1) section.append(makeAnyButton(state, change));
  if (values.length > collapsed.length) {
    section.append(makeExpandButton(facet, values.length - collapsed.length, isExpanded, change));
  }
  if (omittedCount && (isExpanded || values.length === collapsed.length)) {
    const note = text("omitted_values", omittedCount);
    section.append(createElement("p", { className: "rarer", textContent: note }));
  }
  return section;
}

function makeButton(properties, kind, value, onClick) {
  const button = createElement("button", { type: "button", ...properties });
  Object.assign(button.dataset, { kind, value });
  button.addEventListener("click", onClick);
  return button;
}

function makeHeading(facet, isFolded, chosenCount, change) {
  const button = makeButton({ className: "fold" }, facet.name, "fold", () => {
    toggleFold(facet.name);
    change({});
  });
  button.append(createElement("span", { textContent: text(facet.name) }), createIcon("fold"));
  if (isFolded && chosenCount) {
    const note = text("chosen_count", chosenCount);
    button.lastChild.before(createElement("span", { className: "count", textContent: note }));
  }
  button.setAttribute("aria-expanded", String(!isFolded));
  return createElement("h2", {}, button);
}

// With several keywords, a picture needs one of them, or all of them.
function makeAnyButton({ any_keyword: isAny }, change) {
  const button = makeButton(
    { className: "text-button", textContent: text(isAny ? "all_keywords" : "any_keyword") },
    "keyword", "any", () => change({ any_keyword: !isAny }),
  );
  return button;
}

function makeExpandButton(facet, hiddenCount, isExpanded, change) {
  const label = isExpanded ? text("fewer") : text("more_values", hiddenCount);
  const button = makeButton({ className: "text-button", textContent: label }, facet.name, "", () => {
    expandedFacets[isExpanded ? "delete" : "add"](facet.name);
    change({});
  });
  button.setAttribute("aria-expanded", String(isExpanded));
  return button;
}

function makeRow(facet, [value, count], isChosen, state, change) {
  const name = createElement("bdi", { className: "value", textContent: facet.format?.(value) ?? value });
  const button = makeButton({ title: value }, facet.name, value, () =>
    change(toggleValue(state, facet.name, value)),
  );
  const parent = facet.name === "folder" ? findParent(shortenFolder(value)) : "";
  if (parent) name.prepend(createElement("span", { className: "parent", textContent: parent }));
  const number = createElement("span", {
    className: "count", textContent: formatNumber(count),
  });
  button.append(name, number);
  button.setAttribute("aria-pressed", String(isChosen));
  return createElement("li", {}, button);
}

const findParent = (path) => path.slice(0, path.lastIndexOf("/") + 1);
