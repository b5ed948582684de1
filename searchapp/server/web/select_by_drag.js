// Selecting by a rectangle that the mouse draws over the grid. The layout tells which tiles it
// touches, so that tiles outside of the viewport count, too.

import { getModel, getPlan } from "./grid.js";
import { findTilesIn } from "./layout.js";
import { getSelected, selectIds } from "./selection.js";
import { $, createElement } from "./views.js";

const MIN_DRAG = 6; // CSS pixels; a smaller movement is a click
const EDGE = 60; // the page scrolls while the mouse is this near to the edge of the window
const MAX_SPEED = 24; // CSS pixels in each frame

let drag = null; // {start, point, before, band, isMoved}; start is in the grid, point in the window
let isScrolling = false;

function getGridPoint({ x, y }) {
  const { left, top } = $("results").getBoundingClientRect();
  return { x: x - left, y: y - top };
}

function begin(event) {
  if (event.pointerType !== "mouse" || event.button || event.target.closest("button:not(.mark)")) return;
  if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
  const point = { x: event.clientX, y: event.clientY };
  drag = { start: getGridPoint(point), origin: point, point, before: getSelected(), band: null };
}

function move(event) {
  if (!drag) return;
  drag.point = { x: event.clientX, y: event.clientY };
  const distance = Math.hypot(drag.point.x - drag.origin.x, drag.point.y - drag.origin.y);
  if (!drag.band && distance < MIN_DRAG) return;
  if (!drag.band) {
    drag.band = createElement("div", { id: "band" });
    $("results").append(drag.band);
  }
  select();
  if (!isScrolling) scrollAtEdge();
}

function select() {
  const end = getGridPoint(drag.point);
  const box = {
    left: Math.min(drag.start.x, end.x), right: Math.max(drag.start.x, end.x),
    top: Math.min(drag.start.y, end.y), bottom: Math.max(drag.start.y, end.y),
  };
  Object.assign(drag.band.style, {
    left: `${box.left}px`, top: `${box.top}px`,
    width: `${box.right - box.left}px`, height: `${box.bottom - box.top}px`,
  });
  const model = getModel();
  const tiles = findTilesIn(model, getPlan(), box);
  selectIds([...drag.before, ...tiles.map((index) => model.ids[index])]);
}

function scrollAtEdge() {
  isScrolling = Boolean(drag?.band);
  if (!isScrolling) return;
  const { y } = drag.point;
  const [above, below] = [EDGE + document.querySelector("header").offsetHeight - y, y - innerHeight + EDGE];
  const speed = above > 0 ? -above : Math.max(0, below);
  if (speed) {
    scrollBy({ top: (Math.sign(speed) * Math.min(Math.abs(speed), EDGE) * MAX_SPEED) / EDGE, behavior: "instant" });
    select();
  }
  requestAnimationFrame(scrollAtEdge);
}

function end() {
  const isDragged = Boolean(drag?.band);
  drag?.band?.remove();
  drag = null;
  if (!isDragged) return;
  // The release is no click on the tile below the mouse. It can also have no click at all.
  const ignore = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  addEventListener("click", ignore, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", ignore, { capture: true }));
}

export function listenToDrag() {
  $("results").addEventListener("pointerdown", begin);
  $("results").addEventListener("dragstart", (event) => event.preventDefault()); // of a link
  addEventListener("pointermove", move);
  for (const type of ["pointerup", "pointercancel", "blur"]) addEventListener(type, end);
}
