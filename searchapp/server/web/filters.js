// Filters: their names are the same in the state, in the URL of the page, and in the API.

import { isArea, isCircle, isDate } from "./filter_values.js";
import { text } from "./texts.js";
import { formatArea, formatDateRange, formatFolderName, formatRating } from "./views.js";

export const NO_FILTERS = {
  folder: [], after: "", before: "", taken: false, camera: [], lens: [], rating: [],
  keyword: [], any_keyword: false, format: [], place: [], near: "", area: "",
};

const CHECKS = { after: isDate, before: isDate, near: isCircle, area: isArea };
const NAMES = Object.keys(NO_FILTERS);

const isSet = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));

export const isSameValue = (a, b) => a.toLowerCase() === b.toLowerCase();

// Names of the filters that have a value. any_keyword means nothing without a keyword.
export const activeFilters = (state) =>
  NAMES.filter(
    (name) => isSet(state[name]) && !(name === "any_keyword" && !state.keyword.length),
  );
export const filterKey = (state) => JSON.stringify(activeFilters(state).map((n) => [n, state[n]]));

export function appendFilters(state, parameters) {
  for (const name of activeFilters(state)) {
    for (const value of [state[name]].flat()) parameters.append(name, value);
  }
  return parameters;
}

// Return the filters in the parameters of a URL; ignore invalid dates and places.
export function readFilters(parameters) {
  const filters = { ...NO_FILTERS };
  for (const name of NAMES) {
    const values = parameters.getAll(name).filter(Boolean);
    if (name in CHECKS && !CHECKS[name](values[0] ?? "")) continue;
    if (Array.isArray(NO_FILTERS[name])) filters[name] = values;
    else if (typeof NO_FILTERS[name] === "boolean") filters[name] = values[0] === "true";
    else if (values.length) filters[name] = values[0];
  }
  return filters;
}

// Return the fields of a request; a form sends lists as JSON.
export const filterFields = (state) =>
  Object.fromEntries(activeFilters(state).map((name) => [name, state[name]]));

// Return the change that adds a value to a list, or removes it.
export function toggleValue(state, name, value) {
  const others = state[name].filter((other) => !isSameValue(other, value));
  const isAdded = others.length === state[name].length;
  const change = { [name]: isAdded ? [...others, value] : others };
  // Further keywords widen the selection, as further values of each other list do.
  if (name === "keyword" && isAdded && !others.length) change.any_keyword = true;
  return change;
}

// Return {kind, value, title, change} of each filter: what a chip says, and what removes the filter.
export function listChips(state) {
  const chips = [];
  const add = (kind, value, change, title = value) =>
    chips.push({ kind: text(kind), value, title, change });
  const lists = [
    ["folder", formatFolderName], ["keyword"], ["rating", formatRating],
    ["camera"], ["lens"], ["place"],
    ["format", (name) => name.toUpperCase()],
  ];
  const { after, before } = state;
  if (state.saved) add("saved_search", state.saved, { saved: "" });
  if (after || before) add("date", formatDateRange(after, before), { after: "", before: "" });
  for (const [name, format = (value) => value] of lists) {
    for (const value of state[name]) add(name, format(value), toggleValue(state, name, value), value);
  }
  if (state.near) add("place", state.near, { near: "" });
  if (state.area) add("place", formatArea(state.area), { area: "" });
  if (state.taken) add("date", text("no_file_dates"), { taken: false });
  return chips;
}
