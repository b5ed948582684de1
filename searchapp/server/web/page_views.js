// The views that are shown instead of the grid: duplicates, and the map in two arrangements.

import { duplicatesView } from "./duplicates_view.js";
import { leavePictures } from "./gallery.js";
import { likenessView } from "./likeness_view.js";
import { changeState, getState } from "./navigation.js";
import { NO_VIEW, makeStateUrl } from "./state.js";
import { $, isPlain } from "./views.js";
import { worldView } from "./world_view.js";

// Each view has element, show(state, {again, isNew}), and leave().
const VIEWS = { map: worldView, likeness: likenessView, duplicates: duplicatesView };
// The links of the tabs, and the view that each of them shows.
const TABS = {
  "view-pictures": [""], "view-map": ["map", "likeness"], "view-duplicates": ["duplicates"],
  "map-by-place": ["map"], "map-by-likeness": ["likeness"],
};

let shown = "";

// Mark the tab of a state's view, and leave the view before it. Return whether the view has changed.
export function changeView(state) {
  for (const [id, views] of Object.entries(TABS)) {
    $(id).href = makeStateUrl({ ...state, ...NO_VIEW, open: null, view: views[0] });
    if (views.includes(state.view)) $(id).setAttribute("aria-current", "page");
    else $(id).removeAttribute("aria-current");
  }
  if (shown === state.view) return false;
  if (shown) VIEWS[shown].leave();
  else leavePictures();
  shown = document.body.dataset.view = state.view;
  for (const [name, { element }] of Object.entries(VIEWS)) $(element).hidden = name !== shown;
  $("map-kinds").hidden = !["map", "likeness"].includes(shown);
  return true;
}

// Show the view of a state that has one.
export const showView = (state, options) => VIEWS[state.view].show(state, options);

// Move the focus to the first element of the view that takes it.
export function focusView() {
  const element = $(VIEWS[shown].element);
  (element.querySelector("canvas, .toggle") ?? element).focus();
}

// Go back to the pictures.
export function closeView() {
  changeState(NO_VIEW);
  $("results").focus({ preventScroll: true });
}

function openTab(event) {
  if (!isPlain(event)) return; // the browser opens the link in a new tab
  event.preventDefault();
  const [view] = TABS[event.currentTarget.id];
  if (view !== getState().view) changeState({ ...NO_VIEW, open: null, view });
}

export function listenToViews() {
  for (const id of Object.keys(TABS)) $(id).addEventListener("click", openTab);
  for (const view of Object.values(VIEWS)) view.listen();
}
