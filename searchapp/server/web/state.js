// State of the page, and its form in the URL.

import { NO_FILTERS, appendFilters, filterKey, readFilters } from "./filters.js";
import { loadPicture } from "./pictures.js";

export const EMPTY_STATE = {
  text: "", picture: null, similar: null, // the query; similar is an image id
  ...NO_FILTERS, min: null, // conditions; min is the lowest score that is shown
  sort: "", // "date": newest first; otherwise best match first
  rest: null, // 1: less likely matches are shown too
  open: null, // image id of the large view
};

const URL_FIELDS = {
  q: "text", similar: "similar", min: "min", sort: "sort", rest: "rest", open: "open",
};

export const hasQuery = (state) => Boolean(state.text || state.picture || state.similar);

// States with the same key have the same results.
export const resultsKey = (state) =>
  JSON.stringify([state.text, state.similar, state.picture?.id, state.sort, filterKey(state)]);

export function makeStateUrl(state) {
  const parameters = new URLSearchParams();
  for (const [name, field] of Object.entries(URL_FIELDS)) {
    if (state[field] !== "" && state[field] !== null) parameters.set(name, state[field]);
  }
  appendFilters(state, parameters);
  return parameters.size ? `?${parameters}` : location.pathname;
}

// Return the state in the URL; ignore invalid values. A dropped picture cannot be in the URL, so
// the entry of the history has its id.
export function readState() {
  const parameters = new URLSearchParams(location.search);
  const filters = readFilters(parameters);
  const state = { ...EMPTY_STATE, ...filters, picture: loadPicture(history.state?.picture) };
  for (const [name, field] of Object.entries(URL_FIELDS)) {
    const value = parameters.get(name);
    if (value === null) continue;
    if (typeof EMPTY_STATE[field] === "string") state[field] = value;
    else if (value !== "" && Number.isFinite(Number(value))) state[field] = Number(value);
  }
  if (state.sort !== "date") state.sort = "";
  return state;
}
