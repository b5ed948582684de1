// The large view as a dialog: open, close, next and previous picture, keys and gestures.

import { imageUrl } from "./api.js";
import { getPicture } from "./details.js";
import { loadMore } from "./gallery.js";
import { listenToGestures, listenToWheel } from "./gestures.js";
import { focusTile, getModel } from "./grid.js";
import { drawInfo, restoreInfo } from "./info_panel.js";
import { drawActions, useActionKey } from "./large_actions.js";
import { clearLargeView, drawLargeView, isShown } from "./large_view.js";
import { isLibraryLoaded, loadLibrary } from "./library_info.js";
import { changeState, changeStateQuietly, getState, goBack } from "./navigation.js";
import { text } from "./texts.js";
import { hideLargeToast, showToast } from "./toast.js";
import { $ } from "./views.js";
import { isZoomed, keepZoom, measurePicture, pan, resetZoom, toggleZoom, zoomBy } from "./zoom.js";

const MAX_SKIPPED = 100; // pictures without a file, to find the next one that has a file
const PAN_STEP = 80; // CSS pixels of one arrow key

const findOpenIndex = () => getModel().ids.indexOf(getState().open);

export const closeLargeView = () => $("large").close();

// Open or change the large view, so that it shows the picture of the state.
export async function showLargeView({ open: id }) {
  const dialog = $("large");
  const model = getModel();
  const index = findOpenIndex();
  let picture = index >= 0 ? model.getPicture(index) : null;
  let problem = text("unknown_picture");
  try {
    picture ??= await getPicture(id); // a shared URL, a later page, or not loaded yet
  } catch (error) {
    problem = error.message;
  }
  if (getState().open !== id) return;
  if (!picture) return leaveMissing(id, index, problem);
  const isOpening = !dialog.open;
  if (isOpening) dialog.showModal(); // before the drawing, which measures the dialog
  draw(picture, index, model);
  if (isOpening) {
    restoreInfo();
    $("large-name").focus();
  }
  preloadNeighbors(index, model);
}

// The picture of the state cannot be shown: go on to the next one in the same direction, stay at the
// picture before, or close the view.
async function leaveMissing(id, index, problem) {
  const dialog = $("large");
  const shownId = Number(dialog.dataset.id);
  const canStay = dialog.open && shownId !== id;
  const shownIndex = canStay ? getModel().ids.indexOf(shownId) : -1;
  const isListed = index >= 0 && shownIndex >= 0;
  const nextId = isListed ? await findNeighbor(index, Math.sign(index - shownIndex)) : null;
  if (getState().open !== id) return;
  if (!canStay) dialog.close(); // before the message, which would be in it
  changeState({ open: nextId ?? (canStay ? shownId : null) }, { replace: true });
  if (nextId === null) showToast(problem);
}

// Return the id of the next picture whose file exists; null if there is none nearby.
async function findNeighbor(index, offset) {
  const { ids, load, getPicture: getLoaded } = getModel();
  const nearby = Array.from({ length: MAX_SKIPPED }, (_, i) => index + offset * (i + 1))
    .filter((i) => i >= 0 && i < ids.length);
  await load?.(nearby);
  return ids[nearby.find(getLoaded)] ?? null;
}

function draw(picture, index, model) {
  const [count, isListed] = [model.ids.length, index >= 0];
  const hasMore = !$("more").hidden;
  drawLargeView(picture, isListed ? text("position", index + 1, count, hasMore) : "");
  const drawDetails = () => {
    drawActions(picture);
    drawInfo(picture, isListed ? (picture.score ?? null) : null);
  };
  drawDetails();
  // With a picture in the URL, the facts of the library come later.
  if (!isLibraryLoaded()) loadLibrary().then(() => isShown(picture) && drawDetails(), () => {});
  $("previous").hidden = !(index > 0);
  $("next").hidden = !isListed || (index === count - 1 && !hasMore);
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
async function openNeighbor(offset) {
  const index = findOpenIndex();
  if (index < 0) return;
  if (index + offset >= getModel().ids.length && !$("more").hidden) await loadMore();
  const id = getModel().ids[index + offset];
  if (id === undefined || getState().open === null) return; // closed while the page was loaded
  hideLargeToast();
  changeState({ open: id }, { replace: true });
}

// If a click opened the large view, closing it goes back in the history. Otherwise the browser's
// back button would open it again.
function finishClosing() {
  clearLargeView();
  hideLargeToast();
  if (document.fullscreenElement) document.exitFullscreen();
  if (getState().open === null) return; // the state has changed, and closed the dialog
  const index = findOpenIndex();
  if (history.state?.viewing) {
    changeStateQuietly({ open: null }); // a picture that is still loaded must not open the view again
    goBack();
  } else changeState({ open: null }, { replace: true });
  if (index >= 0) focusTile(index);
}

// Keys of the large view. The arrow keys move an enlarged picture, and go on at its edge.
export function useViewerKey(event) {
  if (event.target.matches("video")) return; // the arrow keys seek in a video
  const [dx, dy] = {
    ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
  }[event.key] ?? [0, 0];
  const isMoved = isZoomed() && pan(dx * PAN_STEP, dy * PAN_STEP);
  if (dx && !isMoved) openNeighbor(-dx);
  else if (event.key === "0") resetZoom();
  else if (!isMoved && !useActionKey(event.key === "=" ? "+" : event.key.toLowerCase())) return;
  event.preventDefault();
}

// Whether a point of the window is on the picture, and not beside it.
function isOnPicture({ clientX, clientY }) {
  const { left, top, width, height } = $("stage").getBoundingClientRect();
  const picture = measurePicture();
  return isZoomed() || (
    Math.abs(clientX - left - width / 2) <= picture.width / 2 &&
    Math.abs(clientY - top - height / 2) <= picture.height / 2
  );
}

function listenToStage() {
  const stage = $("stage");
  listenToGestures(stage, {
    isActive: (event) => !event.target.closest("button, video"),
    drag: (dx, dy) => isZoomed() && pan(dx, dy),
    pinch: zoomBy,
    swipe: (offset) => !isZoomed() && openNeighbor(offset),
    doubleTap: toggleZoom,
    tap(event) {
      if (event.pointerType === "mouse" && !isOnPicture(event)) closeLargeView();
    },
  });
  listenToWheel(stage, zoomBy, (event) => !event.target.closest("video"));
  new ResizeObserver(keepZoom).observe(stage);
}

export function listenToViewer() {
  $("close").addEventListener("click", closeLargeView);
  $("large").addEventListener("close", finishClosing);
  $("previous").addEventListener("click", () => openNeighbor(-1));
  $("next").addEventListener("click", () => openNeighbor(1));
  listenToStage();
}
