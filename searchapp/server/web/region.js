// A rectangle in the large view, to search by this part of the picture.

import { addLargeAction } from "./large_actions.js";
import { changeState } from "./navigation.js";
import { EMPTY_STATE } from "./state.js";
import { text } from "./texts.js";
import { $, isVideoFrame } from "./views.js";
import { resetZoom } from "./zoom.js";

const STEP = 0.02; // share of the picture that an arrow key moves or resizes
const MIN_SHARE = 0.02; // a smaller rectangle is a click
const FIRST_BOX = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };

let box = FIRST_BOX; // the rectangle, as shares of the width and height of the picture
let pictureId = null; // of the picture in which the rectangle is drawn; null: no rectangle
let start = null; // {x, y}: where the drag of the mouse began

const limit = (value, end) => Math.min(end, Math.max(0, value));

// The picture on the screen: zoom.js gives the marks of texts its size.
const getPictureRect = () => $("large-marks").getBoundingClientRect();

function open(picture) {
  if (pictureId !== null) return close();
  resetZoom();
  pictureId = picture.id;
  box = FIRST_BOX;
  $("region").hidden = false;
  draw();
  $("region").focus();
  return undefined;
}

function close() {
  const hadFocus = $("region").contains(document.activeElement);
  pictureId = start = null;
  $("region").hidden = true;
  if (hadFocus) $("search-part").focus();
}

function draw() {
  const picture = getPictureRect();
  const layer = $("region").getBoundingClientRect();
  Object.assign($("region-box").style, {
    left: `${picture.left - layer.left + box.x * picture.width}px`,
    top: `${picture.top - layer.top + box.y * picture.height}px`,
    width: `${box.width * picture.width}px`,
    height: `${box.height * picture.height}px`,
  });
  $("region-size").textContent = text("region_size", toPercent(box.width), toPercent(box.height));
}

const toPercent = (share) => Math.round(1000 * share) / 10;

// Return the region as the API takes it. Rounded percents must not exceed 100 in sum.
function formatRegion() {
  const [x, y] = [toPercent(box.x), toPercent(box.y)];
  const [width, height] = [Math.min(toPercent(box.width), 100 - x), Math.min(toPercent(box.height), 100 - y)];
  return [x, y, width, height].map((value) => `${Math.round(10 * value) / 10}%`).join(",");
}

function search() {
  const similar = pictureId;
  const region = formatRegion();
  close();
  changeState({ ...EMPTY_STATE, similar, region });
  $("results").focus({ preventScroll: true });
}

function findPoint({ clientX, clientY }) {
  const { left, top, width, height } = getPictureRect();
  return { x: limit((clientX - left) / width, 1), y: limit((clientY - top) / height, 1) };
}

function drag(event) {
  if (!start) return;
  const end = findPoint(event);
  box = {
    x: Math.min(start.x, end.x), y: Math.min(start.y, end.y),
    width: Math.max(MIN_SHARE, Math.abs(end.x - start.x)),
    height: Math.max(MIN_SHARE, Math.abs(end.y - start.y)),
  };
  box.x = Math.min(box.x, 1 - box.width);
  box.y = Math.min(box.y, 1 - box.height);
  draw();
}

// Arrow keys move the rectangle; with Shift, they move its right and lower edge.
function useKey(event) {
  const [dx, dy] = {
    ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
  }[event.key] ?? [0, 0];
  const isOnLayer = event.target === $("region");
  if (event.key === "Escape") close();
  else if (event.key === "Enter" && isOnLayer) search();
  else if ((dx || dy) && event.shiftKey) {
    box.width = Math.min(1 - box.x, Math.max(MIN_SHARE, box.width + dx));
    box.height = Math.min(1 - box.y, Math.max(MIN_SHARE, box.height + dy));
  } else if (dx || dy) {
    box.x = limit(box.x + dx, 1 - box.width);
    box.y = limit(box.y + dy, 1 - box.height);
  } else {
    if (event.key !== "Tab") event.stopPropagation(); // it is no key of the large view
    return;
  }
  event.preventDefault();
  if (pictureId !== null) draw();
}

export function listenToRegion() {
  addLargeAction({
    id: "search-part", icon: "part", label: "search_part", key: "r", run: open,
    isShown: (picture) => !isVideoFrame(picture), // the film plays, and shows other frames
  });
  const layer = $("region");
  layer.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // the stage would move or close the picture
    if (event.button || event.target.closest("button")) return;
    layer.setPointerCapture(event.pointerId);
    start = findPoint(event);
  });
  layer.addEventListener("pointermove", drag);
  for (const type of ["pointerup", "pointercancel"]) layer.addEventListener(type, () => (start = null));
  layer.addEventListener("wheel", (event) => {
    event.stopPropagation();
    event.preventDefault();
  });
  layer.addEventListener("keydown", useKey);
  $("region-search").addEventListener("click", search);
  $("region-cancel").addEventListener("click", close);
  $("large").addEventListener("cancel", (event) => {
    if (pictureId === null) return;
    event.preventDefault(); // Escape ends the drawing, and leaves the picture open
    close();
  });
  $("large").addEventListener("close", () => pictureId !== null && close());
  addEventListener("popstate", () => pictureId !== null && close());
  new ResizeObserver(() => pictureId !== null && draw()).observe(layer);
}
