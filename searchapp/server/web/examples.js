// Liked and unliked pictures, and the part of a picture: how they are in the state and in requests.

import { text } from "./texts.js";

export const NO_EXAMPLES = { like: [], unlike: [], region: "" };

const MAX_EXAMPLES = 1000; // in one request

export const hasExamples = ({ like, unlike }) => like.length + unlike.length > 0;
export const exampleKey = ({ like, unlike, region }) => `${like};${unlike};${region}`;

export function appendExamples(state, parameters) {
  for (const name of ["like", "unlike"]) {
    if (state[name].length) parameters.set(name, state[name].join(","));
  }
  if (state.region) parameters.set("region", state.region);
}

// Return the image ids in a parameter of a URL; ignore invalid ones.
export const readIds = (parameters, name) =>
  (parameters.get(name) ?? "").split(",").map(Number).filter((id) => Number.isSafeInteger(id) && id > 0);

export const readExamples = (parameters) => ({
  like: readIds(parameters, "like"),
  unlike: readIds(parameters, "unlike"),
  region: parameters.get("region") ?? "",
});

// Return the change of the state that likes (or unlikes) pictures: each is on one side only.
export function addExamples(state, ids, isLiked) {
  const [name, other] = isLiked ? ["like", "unlike"] : ["unlike", "like"];
  const added = new Set(ids);
  return {
    [name]: [...new Set([...state[name], ...ids])].slice(-MAX_EXAMPLES),
    [other]: state[other].filter((id) => !added.has(id)),
  };
}

// Return the fields of a search request that the examples need.
export function exampleFields({ like, unlike }) {
  return { ...(like.length && { like }), ...(unlike.length && { unlike }) };
}

// Return the chips of the examples, as filters.js does for the filters.
export function listExampleChips({ like, unlike, among }) {
  const makeChip = (name, kind, ids) => {
    const value = text("pictures_count", ids.length);
    return { kind, value, title: `${kind}: ${value}`, ids, change: { [name]: [] } };
  };
  return [
    ...(like.length ? [makeChip("like", text("liked"), like)] : []),
    ...(unlike.length ? [makeChip("unlike", text("unliked"), unlike)] : []),
    ...(among.length ? [makeChip("among", text("duplicates_of"), among)] : []),
  ];
}
