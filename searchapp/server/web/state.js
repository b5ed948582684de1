// State of the page, and its form in the URL.

import { NO_EXAMPLES, appendExamples, exampleKey, hasExamples, readExamples, readIds } from "./examples.js";
import { NO_FILTERS, appendFilters, filterKey, readFilters } from "./filters.js";
import { loadPicture } from "./pictures.js";

// What is shown instead of the grid: "map" by place, "likeness" (a map, too), "duplicates", or "".
export const NO_VIEW = {
  view: "",
  at: "", // LATITUDE,LONGITUDE,DEGREES: center and width of the map
  among: [], // image ids: only duplicates of these pictures
  alike: null, reviewed: null, // 1: duplicates with look-alikes, and with those that were reviewed
};
const VIEWS = ["map", "likeness", "duplicates"];

export const EMPTY_STATE = {
  text: "", picture: null, similar: null, // the query; similar is an image id
  saved: "", // name of a saved search whose question the page has no fields for
  ...NO_EXAMPLES, // pictures to find more or less of, and the part of the picture similar
  ...NO_FILTERS, min: null, // conditions; min is the lowest score that is shown
  by: "", // "vector" or "text": compare only pictures, or only names and texts; otherwise both
  sort: "", // "date": newest first; "rerank": best match first, by a reranker; otherwise by vectors
  rest: null, // 1: less likely matches are shown too
  open: null, // image id of the large view
  ...NO_VIEW,
};

const URL_FIELDS = {
  q: "text", similar: "similar", saved: "saved", min: "min", by: "by", sort: "sort", rest: "rest", open: "open",
  view: "view", at: "at", alike: "alike", reviewed: "reviewed",
};

// Only a question in words can be compared with names and texts.
export const isInWords = (state) =>
  Boolean(state.text) && !state.picture && !state.similar && !hasExamples(state);

export const hasQuery = (state) =>
  Boolean(state.text || state.picture || state.similar || state.saved || hasExamples(state));

// States with the same key have the same question, without filters.
export const questionKey = (state) =>
  JSON.stringify([state.text, state.similar, state.saved, state.picture?.id, exampleKey(state)]);

// States with the same key have the same results.
export const resultsKey = (state) =>
  JSON.stringify([
    state.text, state.similar, state.saved, state.picture?.id, state.by, state.sort,
    filterKey(state), exampleKey(state),
  ]);

export function makeStateUrl(state) {
  const parameters = new URLSearchParams();
  for (const [name, field] of Object.entries(URL_FIELDS)) {
    if (state[field] !== "" && state[field] !== null) parameters.set(name, state[field]);
  }
  appendExamples(state, parameters);
  if (state.among.length) parameters.set("among", state.among.join(","));
  appendFilters(state, parameters);
  return parameters.size ? `?${parameters}` : location.pathname;
}

// Return the state in the URL; ignore invalid values. A dropped picture cannot be in the URL, so
// the entry of the history has its id.
export function readState() {
  const parameters = new URLSearchParams(location.search);
  const filters = readFilters(parameters);
  const picture = loadPicture(history.state?.picture);
  const state = { ...EMPTY_STATE, ...filters, ...readExamples(parameters), picture };
  for (const [name, field] of Object.entries(URL_FIELDS)) {
    const value = parameters.get(name);
    if (value === null) continue;
    if (typeof EMPTY_STATE[field] === "string") state[field] = value;
    else if (value !== "" && Number.isFinite(Number(value))) state[field] = Number(value);
  }
  state.among = readIds(parameters, "among");
  if (!VIEWS.includes(state.view)) Object.assign(state, NO_VIEW);
  if (!["date", "rerank"].includes(state.sort)) state.sort = "";
  if (!state.similar) state.region = "";
  if (!["vector", "text"].includes(state.by)) state.by = "";
  return state;
}
