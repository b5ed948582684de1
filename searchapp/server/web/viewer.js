// The large view as a dialog: open, close, previous and next picture, copy the path.

import { imageUrl } from "./api.js";
import { getPicture } from "./details.js";
import { loadMore } from "./gallery.js";
import { focusTile, getModel } from "./grid.js";
import { drawLargeView, stopVideo } from "./large_view.js";
import { changeFilters, changeState, getState } from "./navigation.js";
import { EMPTY_STATE, hasQuery, makeStateUrl } from "./state.js";
import { $, isPlain, isRootFolder } from "./views.js";

const MIN_SWIPE = 50; // CSS pixels

let openPicture = null; // the picture in the large view

const findOpenIndex = () => getModel().ids.indexOf(getState().open);

// Open, change or close the large view, so that it shows the picture of the state.
export async function showLargeView(state) {
  const dialog = $("large");
  const id = state.open;
  if (id === null) {
    if (dialog.open) dialog.close();
    return;
  }
  const model = getModel();
  const index = findOpenIndex();
  let picture = index >= 0 ? model.getPicture(index) : null;
  let problem = "The library does not have this picture any more.";
  try {
    picture ??= await getPicture(id); // a shared URL, a later page, or not loaded yet
  } catch (error) {
    problem = error.message;
  }
  if (getState().open !== id) return;
  if (!picture) {
    changeState({ open: null }, { replace: true });
    $("status").textContent = problem;
    return;
  }
  draw(picture, index, model);
  if (!dialog.open) {
    dialog.showModal();
    $("large-name").focus();
  }
  preloadNeighbors(index, model);
}

function draw(picture, index, model) {
  openPicture = picture;
  const [count, isListed] = [model.ids.length, index >= 0];
  const hasMore = !$("more").hidden;
  drawLargeView(picture, {
    score: isListed ? (picture.score ?? null) : null,
    position: isListed
      ? `${(index + 1).toLocaleString("en")} of ${count.toLocaleString("en")}${hasMore ? "+" : ""}`
      : "",
  });
  const state = getState();
  $("like").href = makeStateUrl({ ...EMPTY_STATE, similar: picture.id });
  $("only-folder").href = makeStateUrl({ ...state, folder: [picture.folder], open: null });
  $("only-folder").hidden =
    (state.folder.length === 1 && state.folder[0] === picture.folder) ||
    isRootFolder(picture.folder);
  $("previous").hidden = !(index > 0);
  $("next").hidden = !isListed || (index === count - 1 && !hasMore);
  $("copy-label").textContent = "Copy path";
}

async function preloadNeighbors(index, { ids, load, getPicture: getLoaded }) {
  if (index < 0) return;
  const neighbors = [index + 1, index - 1].filter((i) => i >= 0 && i < ids.length);
  await load?.(neighbors); // the URL of a picture names its content
  for (const picture of neighbors.map(getLoaded)) {
    if (picture) new Image().src = imageUrl(picture);
  }
}

// Open the next (offset 1) or previous (offset -1) picture.
export async function openNeighbor(offset) {
  const index = findOpenIndex();
  if (index < 0) return;
  if (index + offset >= getModel().ids.length && !$("more").hidden) await loadMore();
  const id = getModel().ids[index + offset];
  if (id !== undefined) changeState({ open: id }, { replace: true });
}

// If a click opened the large view, closing it goes back in the history. Otherwise the browser's
// back button would open it again.
function closeLargeView() {
  stopVideo();
  if (getState().open === null) return; // the state has changed, and closed the dialog
  const index = findOpenIndex();
  if (history.state?.viewing) history.back();
  else changeState({ open: null }, { replace: true });
  if (index >= 0) focusTile(index);
}

async function copyPath() {
  const path = $("path");
  let copied = true;
  try {
    await navigator.clipboard.writeText(path.textContent);
  } catch {
    getSelection().selectAllChildren(path); // the clipboard API needs TLS or localhost
    copied = document.execCommand("copy");
  }
  $("copy-label").textContent = copied ? "Copied" : "Copy the selected path";
  $("large-status").textContent = copied
    ? "The path is copied."
    : "The path cannot be copied. It is selected: copy it with the keyboard.";
}

// Follow a link of the large view within the page, unless the user opens it in a new tab.
function followLink(id, change) {
  $(id).addEventListener("click", (event) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    change();
    $("results").focus({ preventScroll: true });
  });
}

export function listenToViewer() {
  followLink("like", () => changeState({ ...EMPTY_STATE, similar: getState().open }));
  followLink("only-folder", () => changeFilters({ folder: [openPicture.folder], open: null }));
  $("close").addEventListener("click", () => $("large").close());
  $("large").addEventListener("close", closeLargeView);
  $("stage").addEventListener("click", (event) => event.target === $("stage") && $("large").close());
  $("previous").addEventListener("click", () => openNeighbor(-1));
  $("next").addEventListener("click", () => openNeighbor(1));
  $("copy").addEventListener("click", copyPath);
  let startX = null;
  $("stage").addEventListener("touchstart", (event) => {
    startX = event.touches.length === 1 ? event.touches[0].clientX : null;
  });
  $("stage").addEventListener("touchend", (event) => {
    const distance = startX === null ? 0 : event.changedTouches[0].clientX - startX;
    const isSwipe = Math.abs(distance) > MIN_SWIPE && visualViewport.scale === 1;
    if (isSwipe) openNeighbor(distance < 0 ? 1 : -1);
  });
}
