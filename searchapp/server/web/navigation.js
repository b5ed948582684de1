// The state of the page: it is in the URL, and each change goes through this module.

import { EMPTY_STATE, NO_VIEW, makeStateUrl, questionKey, readState } from "./state.js";

let state = EMPTY_STATE;
let show = async () => {};
let goingBack = null; // until the browser has gone back: a promise

export const getState = () => state;

// Change the state, add it to the browser history (replace: overwrite the entry), and show it.
// viewing: the entry opens the large view, so that closing the view can go back.
export function changeState(change, options = {}) {
  if (goingBack) return goingBack.then(() => changeState(change, options));
  const { replace = false, viewing = history.state?.viewing && replace } = options;
  const next = { ...state, ...change };
  if (questionKey(next) !== questionKey(state)) Object.assign(next, NO_VIEW); // the grid answers it
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

// Go back in the history. The browser does this later, and from the newest entry: a change that
// added an entry in between would be undone. So changes wait.
export function goBack() {
  goingBack ??= new Promise((resolve) => {
    const finish = () => {
      goingBack = null;
      resolve();
    };
    addEventListener("popstate", finish, { once: true });
    history.back();
  });
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
