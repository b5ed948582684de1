// The page: starts all parts, and shows each state of navigation.js.

import { drawChips } from "./chips.js";
import { loadMore, redrawAnswer, resetFilters, showPictures } from "./gallery.js";
import { findFirstVisible, focusNeighbor, focusTile, getModel } from "./grid.js";
import { listenToGrid, onGridScroll, scrollToGrid } from "./grid.js";
import { changeFilters, changeState, getState, startNavigation } from "./navigation.js";
import { showModelStatus } from "./model_status.js";
import { listenToJob } from "./background_job.js";
import { changeView, closeView, focusView, listenToViews, showView } from "./page_views.js";
import { drawSaved, listenToSaved } from "./saved_searches.js";
import { listenToScoreSlider } from "./score_slider.js";
import { flashDate, listenToScrubber, moveHandle, onScrub } from "./scrubber.js";
import { drawForm, listenToForm, submitQuestion } from "./search_form.js";
import { drawSide, listenToSide } from "./side.js";
import { listenToSuggestions } from "./suggestions.js";
import { listenToRegion } from "./region.js";
import { listenToReload } from "./reload.js";
import { listenToDrag } from "./select_by_drag.js";
import { listenToSelecting } from "./select_tiles.js";
import { clearSelection, listenToSelection } from "./selection.js";
import { listenToSelectionBar } from "./selection_bar.js";
import { resultsKey } from "./state.js";
import { translatePage } from "./texts.js";
import { $, isPlain } from "./views.js";
import { closeLargeView, listenToViewer, showLargeView, useViewerKey } from "./viewer.js";

async function showState(state, previous, options) {
  if (state.open === null) closeLargeView(); // before the search, which can take long
  const isNew = changeView(state);
  if (isNew || resultsKey(state) !== resultsKey(previous)) clearSelection(); // other pictures are shown
  drawForm(state);
  drawChips(state, changeFilters, resetFilters);
  drawSaved(state);
  $("sort").value = state.sort;
  $("by").value = state.by;
  const shown = state.view
    ? showView(state, { ...options, isNew })
    : showPictures(state, previous, options);
  drawSide(state, options.again); // after the request for the pictures, which matter more
  await shown;
  if (state.open !== null) await showLargeView(state);
}

// Keys of the whole page; parts of the page handle their own keys.
function useKey(event) {
  const isEdge = event.key === "Home" || event.key === "End";
  // On many keyboards, plus needs Shift.
  const isPlus = event.key === "+" && !(event.ctrlKey || event.metaKey || event.altKey);
  if (!(isPlain(event) || isPlus) || event.defaultPrevented) return;
  const isTyping = event.target.matches("input, select, textarea");
  const tile = event.target.closest("#results li");
  const direction = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 }[event.key];
  if ($("large").open) {
    useViewerKey(event);
  } else if (event.key === "Escape" && getState().view && isInView(event.target)) {
    event.preventDefault();
    closeView();
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    $("words").select();
  } else if (tile && (direction || isEdge)) {
    event.preventDefault();
    if (direction) focusNeighbor(Number(tile.dataset.index), direction);
    else focusTile(event.key === "Home" ? 0 : getModel().ids.length - 1);
  } else if (event.target === $("words") && event.key === "ArrowDown") {
    event.preventDefault();
    focusPictures();
  }
}

const isInView = (element) => element === document.body || Boolean(element.closest("#answers"));

function focusPictures() {
  if (getState().view) focusView();
  else focusTile(findFirstVisible());
}

function openTile(event) {
  const link = event.target.closest("a");
  if (!link || event.defaultPrevented) return; // the click selects
  if (!isPlain(event)) return; // the browser opens the link in a new tab
  event.preventDefault();
  changeState({ open: Number(link.closest("li").dataset.id) }, { viewing: true });
}

translatePage();
listenToForm();
listenToSuggestions(submitQuestion);
listenToSide();
listenToGrid();
listenToScrubber();
listenToViewer();
listenToSaved();
listenToJob();
listenToViews();
listenToRegion();
listenToSelection();
listenToSelectionBar();
listenToSelecting(); // before the listeners below, which open pictures and move the focus
listenToDrag();
listenToReload();
listenToScoreSlider(redrawAnswer);
onScrub(scrollToGrid);
let lastTop = 0;
onGridScroll((y) => {
  moveHandle(y);
  if (scrollY !== lastTop) flashDate();
  lastTop = scrollY;
});
addEventListener("keydown", useKey);
$("results").addEventListener("click", openTile);
$("more").addEventListener("click", loadMore);
$("sort").addEventListener("change", () =>
  changeState({ sort: $("sort").value, rest: null }),
);
$("by").addEventListener("change", () =>
  changeState({ by: $("by").value, min: null, rest: null }),
);
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the URL contains the state, so the anchor must not change it
  focusPictures();
});

startNavigation(showState);
showModelStatus();
