// The state of the page: it is in the URL, and each change goes through this module.

import { EMPTY_STATE, makeStateUrl, readState } from "./state.js";

let state = EMPTY_STATE;
let show = async () => {};

export const getState = () => state;

// Change the state, add it to the browser history (replace: overwrite the entry), and show it.
// viewing: the entry opens the large view, so that closing the view can go back.
export function changeState(
  change,
  { replace = false, viewing = history.state?.viewing && replace } = {},
) {
  const next = { ...state, ...change };
  const entry = { picture: next.picture?.id, viewing: Boolean(viewing && next.open) };
  history[replace ? "replaceState" : "pushState"](entry, "", makeStateUrl(next));
  return setState(next);
}

// Change the filters: the minimum score of another selection has no meaning, and the less likely
// matches are folded again.
export const changeFilters = (change) => changeState({ ...change, min: null, rest: null });

// Change the state without an entry in the history and without showing it, as during a drag.
export function changeStateQuietly(change) {
  state = { ...state, ...change };
}

export const showAgain = () => setState(state, { again: true });

function setState(next, options = {}) {
  const previous = state;
  state = next;
  return show(next, previous, options);
}

// Show the state of the URL. callback(state, previous, {again, back}): shows a state; again: even
// if it is unchanged; back: the user went back or forward.
export function startNavigation(callback) {
  show = callback;
  history.scrollRestoration = "manual";
  addEventListener("popstate", () => setState(readState(), { back: true }));
  return setState(readState());
}
