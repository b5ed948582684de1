// Selecting by clicks, keys and long presses. A plain click opens a picture, until one is selected.

import { focusNeighbor, focusTile, getModel } from "./grid.js";
import { beginRange, clearSelection, hasSelection, selectAll, selectRangeTo, toggleTile } from "./selection.js";
import { $ } from "./views.js";

const LONG_PRESS_MS = 500;
const MAX_PRESS_DISTANCE = 10; // CSS pixels; a finger that moves farther scrolls the page

const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 };

const findIndex = (element) => Number(element.closest("#results li")?.dataset.index ?? -1);

function useClick(event) {
  const index = findIndex(event.target);
  const hasModifier = event.ctrlKey || event.metaKey || event.altKey; // the browser opens a tab
  if (index < 0 || event.button || hasModifier) return;
  const isMark = Boolean(event.target.closest(".mark"));
  const isByKey = event.detail === 0; // Enter on a link: it opens the picture
  if (event.shiftKey) selectRangeTo(index);
  else if (isMark || (hasSelection() && !isByKey)) toggleTile(index);
  else return;
  event.preventDefault();
}

function useKey(event) {
  if (event.defaultPrevented || $("large").open || event.altKey) return;
  const isTyping = event.target.matches("input, select, textarea");
  const index = findIndex(event.target);
  const key = event.key.toLowerCase();
  if (key === "escape" && hasSelection() && !isTyping) clearSelection();
  else if (key === "a" && (event.ctrlKey || event.metaKey) && !isTyping && getModel().ids.length) selectAll();
  else if (index < 0 || event.ctrlKey || event.metaKey) return;
  else if (key === "x" || key === " ") toggleTile(index);
  else if (event.shiftKey && ARROWS[event.key]) extendTo(() => focusNeighbor(index, ARROWS[event.key]), index);
  else if (event.shiftKey && key === "home") extendTo(() => focusTile(0), index);
  else if (event.shiftKey && key === "end") extendTo(() => focusTile(getModel().ids.length - 1), index);
  else return;
  event.preventDefault();
}

// Select from a tile up to the tile that has the focus after a move.
function extendTo(move, index) {
  beginRange(index);
  move();
  selectRangeTo(findIndex(document.activeElement));
}

// A long press with a finger selects, as in the galleries of phones.
function listenToLongPress() {
  let press = null; // {x, y, timer}
  let isUsed = false; // the press has selected a picture, so the click that follows means nothing
  const end = () => {
    clearTimeout(press?.timer);
    press = null;
  };
  $("results").addEventListener("pointerdown", (event) => {
    isUsed = false;
    const index = findIndex(event.target);
    if (event.pointerType === "mouse" || index < 0) return;
    const use = () => {
      isUsed = true;
      navigator.vibrate?.(10);
      toggleTile(index);
    };
    press = { x: event.clientX, y: event.clientY, timer: setTimeout(use, LONG_PRESS_MS) };
  });
  addEventListener("pointermove", (event) => {
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > MAX_PRESS_DISTANCE) end();
  });
  for (const type of ["pointerup", "pointercancel", "scroll"]) addEventListener(type, end);
  $("results").addEventListener("contextmenu", (event) => (press || isUsed) && event.preventDefault());
  $("results").addEventListener(
    "click",
    (event) => {
      if (!isUsed) return;
      isUsed = false;
      event.preventDefault();
      event.stopPropagation();
    },
    { capture: true },
  );
}

// Call this before the listeners that open pictures and move the focus.
export function listenToSelecting() {
  $("results").addEventListener("click", useClick);
  addEventListener("keydown", useKey);
  listenToLongPress();
}
