// The grid of pictures. Only the tiles near the viewport are in the document.

import { findNeighborTile, findRowAt, findRowOf, layOut, placeTiles } from "./layout.js";
import { drawSections, getSection, keepSections, removeSections } from "./sections.js";
import { cancelThumbnail, describeTile, limitLabels, loadThumbnail, makeTile } from "./tile.js";
import { describeTiles, showCaption } from "./tile_details.js";
import { $ } from "./views.js";

const OVERSCAN = 0.7; // of the height of the viewport, above and below it
const FAST_OVERSCAN = 0.1; // during a fast scroll, each frame shows other tiles anyway
const CALM_MS = 120; // after a fast scroll, thumbnails are loaded when the page stands still
const FAST_SCREENS = 1.5; // a jump of more screens than this between two frames is a fast scroll

const EMPTY_MODEL = { ids: [], ratios: [], groups: [], getPicture: () => undefined };

let model = EMPTY_MODEL;
let plan = layOut(EMPTY_MODEL, 1);
let current = 0; // the tile that the Tab key reaches
let lastScroll = 0;
let calmTimer = 0;
let isFast = false; // a fast scroll has not ended yet
let isDrawScheduled = false;
let topMargin = 0; // height of the header, and a gap
const shownRows = new Map(); // number of a row -> its list items
const scrollListeners = new Set();
const resizeListeners = new Set();
const tileListeners = new Set();

// The model of layout.js with three more functions: makeUrl(id), getColor(index),
// getPicture(index) (undefined if its metadata is not loaded yet), and
// getHash(index): optional, the SHA-256 of the file, so that the browser caches the thumbnail.
// load(indexes): called for the tiles in the viewport; resolves when their metadata is known.
// scroll: the new scroll position; null: the tiles that are the same as before stay as they are.
export function showModel(newModel, { scroll = null } = {}) {
  const [oldModel, oldPlan] = [model, plan];
  keepFocus(() => {
    if (scroll !== null) clear();
    model = newModel;
    current = Math.min(current, Math.max(0, model.ids.length - 1));
    measure();
    if (scroll !== null) {
      current = 0;
      scrollTo({ top: scroll, behavior: "instant" });
      lastScroll = scrollY;
    } else removeChanged(oldModel, oldPlan);
    draw();
  });
}

// Replace tiles. If the element with the focus is replaced, its successor gets the focus; if it has
// none, the grid does. Otherwise the browser would move the focus to the beginning of the page.
function keepFocus(replace) {
  const focused = document.activeElement;
  const id = $("results").contains(focused) && Number(focused.closest("li")?.dataset.id);
  replace();
  if (focused.isConnected) return;
  const index = model.ids.indexOf(id);
  const row = findRowOf(plan.rows, index);
  if (index >= 0 && row >= 0 && !shownRows.has(row)) drawRow(row);
  const link = getTileElement(index)?.querySelector("a");
  const button = focused.id ? $(focused.id) : null; // the button of a section, drawn again
  (link ?? button ?? $("results")).focus({ preventScroll: true });
}

export const clearGrid = () => showModel(EMPTY_MODEL, { scroll: 0 });
export const getModel = () => model;
export const getPlan = () => plan;
export const getTileElement = (index) => $("results").querySelector(`[data-index="${index}"]`);

// Call callback(y) after each change of the scroll position or of the layout; y: see getGridScroll.
export const onGridScroll = (callback) => scrollListeners.add(callback);

// Call callback() when the size of the page has changed, and with it the layout.
export const onGridResize = (callback) => resizeListeners.add(callback);

// Call callback(item) for each new tile, before it is shown.
export const onTile = (callback) => tileListeners.add(callback);

// y of the top edge of the grid in the document.
const getGridTop = () => $("results").getBoundingClientRect().top + scrollY;

// y in the grid of the first pixel below the header; negative at the beginning of the page.
export const getGridScroll = () => scrollY + topMargin - getGridTop();

// Return the first tile that is completely visible below the header.
export function findFirstVisible(y = getGridScroll()) {
  const row = plan.rows[Math.min(plan.rows.length - 1, findRowAt(plan.rows, y - 1) + 1)];
  return row ? row.from : 0;
}

// Show the tile, and give it the focus.
export function focusTile(index) {
  const row = plan.rows[findRowOf(plan.rows, index)];
  if (!row) return;
  revealRow(row);
  setCurrent(index);
  draw();
  getTileElement(index)?.querySelector("a").focus({ preventScroll: true });
}

function revealRow(row) {
  const top = getGridTop() + row.top;
  const bottom = top + row.height;
  const [above, below] = [scrollY + topMargin + 30, scrollY + innerHeight - 16];
  if (top < above) scrollTo({ top: top - topMargin - 30, behavior: "instant" });
  else if (bottom > below) scrollTo({ top: bottom - innerHeight + 16, behavior: "instant" });
}

// direction: see findNeighborTile. Returns whether there is such a tile.
export function focusNeighbor(index, direction) {
  const next = findNeighborTile(model, plan, index, direction);
  if (next >= 0) focusTile(next);
  return next >= 0;
}

// Scroll so that y of the grid is at the top of the visible part.
export function scrollToGrid(y) {
  scrollTo({ top: y <= 0 ? 0 : getGridTop() + y - topMargin, behavior: "instant" });
}

function setCurrent(index) {
  const setTabIndex = (value) => {
    const link = getTileElement(current)?.querySelector("a");
    if (link) link.tabIndex = value;
  };
  setTabIndex(-1);
  current = index;
  setTabIndex(0);
}

// --- drawing -----------------------------------------------------------------------------------

function measure() {
  topMargin = document.querySelector("header").offsetHeight + 8;
  const container = $("results");
  plan = layOut(model, Math.max(1, container.clientWidth));
  container.style.height = `${plan.height}px`;
}

function clear() {
  for (const row of [...shownRows.keys()]) removeRow(row);
  removeSections();
}

// Remove the rows and groups that differ between the shown model and an older one.
function removeChanged(oldModel, oldPlan) {
  const isSameRow = (number) => {
    const [a, b] = [oldPlan.rows[number], plan.rows[number]];
    return b && ["group", "top", "left", "height", "from", "to"].every((name) => a[name] === b[name]) &&
      oldModel.ids.slice(a.from, a.to).every((id, i) => id === model.ids[a.from + i]);
  };
  for (const row of [...shownRows.keys()]) if (!isSameRow(row)) removeRow(row);
  const removed = keepSections(oldModel, model, plan);
  for (const row of [...shownRows.keys()]) if (removed.has(plan.rows[row].group)) removeRow(row);
  for (const item of [...shownRows.values()].flat()) {
    item.setAttribute("aria-setsize", model.ids.length);
    item.querySelector("a").href = model.makeUrl(model.ids[item.dataset.index]);
  }
}

export function scheduleDraw() {
  if (isDrawScheduled) return;
  isDrawScheduled = true;
  requestAnimationFrame(() => {
    isDrawScheduled = false;
    draw();
  });
}

function draw() {
  const gridScroll = getGridScroll(); // before changes: later it would force a layout
  const top = gridScroll - topMargin;
  isFast ||= Math.abs(scrollY - lastScroll) > FAST_SCREENS * innerHeight;
  lastScroll = scrollY;
  const overscan = (isFast ? FAST_OVERSCAN : OVERSCAN) * innerHeight;
  const [from, to] = [top - overscan, top + innerHeight + overscan];
  let first = Math.max(0, findRowAt(plan.rows, from));
  while (first > 0 && plan.rows[first - 1].top === plan.rows[first].top) first -= 1;
  const last = findRowAt(plan.rows, to);
  const focusedRow = $("results").contains(document.activeElement)
    ? findRowOf(plan.rows, Number(document.activeElement.closest("li")?.dataset.index ?? -1))
    : -1;
  for (const row of [...shownRows.keys()]) {
    if ((row < first || row > last) && row !== focusedRow) removeRow(row);
  }
  for (let row = first; row <= last; row += 1) if (!shownRows.has(row)) drawRow(row);
  const withRows = new Set([...shownRows.keys()].map((row) => plan.rows[row].group));
  drawSections(model, plan, from, to, withRows);
  if (!isFast) loadThumbnails();
  clearTimeout(calmTimer);
  calmTimer = setTimeout(() => {
    if (isFast) scheduleDraw(); // with the complete overscan
    isFast = false;
    loadThumbnails();
    describeTiles([...shownRows.values()].flat(), getModel);
  }, CALM_MS);
  keepTabStop(first, last, gridScroll);
  for (const callback of scrollListeners) callback(gridScroll);
}

// If the tile with the Tab stop is not in the document, the first visible one takes its place.
function keepTabStop(first, last, gridScroll) {
  const row = findRowOf(plan.rows, current);
  if (shownRows.has(row) && row >= first && row <= last) setCurrent(current);
  else if (model.ids.length) setCurrent(findFirstVisible(gridScroll));
}

function drawRow(number) {
  const row = plan.rows[number];
  const { list } = getSection(model, plan, row.group);
  const { top: groupTop, left: groupLeft } = plan.groups[row.group];
  const { starts } = model.groups[row.group];
  const places = placeTiles(model, row, plan);
  const items = places.map(({ index, left, width }) => {
    const id = model.ids[index];
    const item = makeTile({
      id, index, count: model.ids.length, url: model.makeUrl(id),
      color: model.getColor(index), label: starts?.get(index),
    });
    const { style } = item;
    style.transform = `translate(${left - groupLeft}px, ${Math.round(row.top - groupTop)}px)`;
    style.width = `${width}px`;
    style.height = `${Math.round(row.height)}px`;
    const picture = model.getPicture(index);
    if (picture) describeTile(item, picture);
    if (model.getHash) item.dataset.sha256 = model.getHash(index);
    for (const callback of tileListeners) callback(item);
    return item;
  });
  limitLabels(items, places, plan.width);
  const next = [...list.children].find((item) => Number(item.dataset.index) >= row.to);
  for (const item of items) list.insertBefore(item, next ?? null);
  shownRows.set(number, items);
}

function removeRow(number) {
  for (const item of shownRows.get(number)) {
    cancelThumbnail(item);
    item.remove();
  }
  shownRows.delete(number);
}

function loadThumbnails() {
  for (const items of shownRows.values()) {
    for (const item of items) loadThumbnail(item, model.ratios[item.dataset.index]);
  }
}

export function listenToGrid() {
  const onPointTile = (event) => {
    const item = event.target.closest?.("#results li");
    if (!item) return;
    if (event.type === "focusin") setCurrent(Number(item.dataset.index));
    showCaption(item, getModel);
  };
  addEventListener("scroll", scheduleDraw, { passive: true });
  $("results").addEventListener("pointerover", onPointTile);
  $("results").addEventListener("focusin", onPointTile);
  addEventListener("resize", finishResize);
  new ResizeObserver(fitGrid).observe($("results"));
}

// Return {id, offset}: the first visible picture, and its distance from the top of the window.
export function getPlace() {
  const index = findFirstVisible();
  const row = scrollY > 0 && plan.rows[findRowOf(plan.rows, index)];
  return row ? { id: model.ids[index], offset: getGridTop() + row.top - scrollY } : null;
}

// Scroll to where a picture was: see getPlace.
export function goToPlace({ id, offset }) {
  const row = plan.rows[findRowOf(plan.rows, model.ids.indexOf(id))];
  if (row) scrollTo({ top: getGridTop() + row.top - offset, behavior: "instant" });
}

// Lay the grid out again if its width has changed; the first visible tile keeps its place.
export function fitGrid() {
  if ($("results").clientWidth === plan.width) return;
  const anchor = findFirstVisible();
  const offset = plan.rows.length && plan.rows[findRowOf(plan.rows, anchor)].top - scrollY;
  keepFocus(() => {
    clear();
    measure();
    const row = plan.rows[findRowOf(plan.rows, anchor)];
    if (row && scrollY > 0) scrollTo({ top: row.top - offset, behavior: "instant" });
    draw();
  });
  finishResize();
}

function finishResize() {
  draw();
  for (const callback of resizeListeners) callback();
}
