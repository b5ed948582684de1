// The selected pictures of the grid, and the marks of their tiles. Several modules change them:
// the mouse and keys (select_tiles.js), a drag (select_by_drag.js), and the bar (selection_bar.js).

import { getModel, onTile } from "./grid.js";
import { text } from "./texts.js";
import { $, createElement } from "./views.js";

let selected = new Set(); // image ids, in the order in which they were selected
let anchor = -1; // index of the tile where a range begins
const listeners = new Set();

export const getSelected = () => [...selected];
export const isSelected = (id) => selected.has(id);
export const hasSelection = () => selected.size > 0;

// Call callback(number of selected pictures) after each change.
export const onSelection = (callback) => listeners.add(callback);

export function selectIds(ids) {
  selected = new Set(ids);
  document.body.classList.toggle("selecting", hasSelection());
  for (const item of $("results").querySelectorAll("li")) drawMark(item);
  for (const callback of listeners) callback(selected.size);
}

export function clearSelection() {
  anchor = -1;
  if (hasSelection()) selectIds([]);
}

export const selectAll = () => selectIds(getModel().ids);

// Select a picture, or remove it from the selection. The next range begins at it.
export function toggleTile(index) {
  const id = getModel().ids[index];
  anchor = index;
  const next = new Set(selected);
  if (!next.delete(id)) next.add(id);
  selectIds(next);
}

// Select the pictures from the tile of the last toggle up to another tile.
export function selectRangeTo(index) {
  if (anchor < 0) anchor = index;
  const [from, to] = [Math.min(anchor, index), Math.max(anchor, index)];
  selectIds([...selected, ...getModel().ids.slice(from, to + 1)]);
}

// Begin a range at a tile, unless one has begun.
export const beginRange = (index) => (anchor = anchor < 0 ? index : anchor);

// Add the check mark to a tile; CSS shows it on hover, or while pictures are selected.
function addMark(item) {
  const label = text("select_picture", Number(item.dataset.index) + 1);
  const mark = createElement("button", { type: "button", className: "mark", tabIndex: -1 });
  mark.setAttribute("role", "checkbox");
  mark.setAttribute("aria-label", label);
  item.append(mark);
  drawMark(item);
}

function drawMark(item) {
  const isOn = isSelected(Number(item.dataset.id));
  item.classList.toggle("selected", isOn);
  item.querySelector(".mark").setAttribute("aria-checked", String(isOn));
}

export const listenToSelection = () => onTile(addMark);
