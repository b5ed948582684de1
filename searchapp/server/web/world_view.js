// The map by place: the outline of the world, and the pictures that were taken near each other. A
// click on them shows these pictures. The map needs no tiles, so nothing is sent to other servers.

import { getPlaces } from "./api.js";
import { drawClusters, mergeNear } from "./clusters.js";
import { activeFilters, filterKey } from "./filters.js";
import { resetFilters, showProblem } from "./gallery.js";
import { listenToGestures, listenToWheel } from "./gestures.js";
import { changeState, getState } from "./navigation.js";
import { hideNotice, showNotice } from "./notices.js";
import { NO_VIEW } from "./state.js";
import { text } from "./texts.js";
import { $ } from "./views.js";
import { UNITS, WORLD, makeGrid, toLatitude, toLongitude, toX, toY } from "./world_units.js";

const CELL_PX = 72; // wanted side of a square in which pictures are one cluster
const MIN_CELL = 0.001; // degrees
const MIN_WIDTH = 0.05 * UNITS; // of the shown part
const MARGIN = 1.3; // of the shown part around the clusters
const MIN_FIT_DEGREES = 4; // the shown part of a library with one place
const LOADED_SCREENS = 2; // width of the loaded part, in widths of the shown part
const REST_MS = 250; // after which the shown part is loaded, and in the URL
const KEY_STEP = 80; // pixels
const ZOOM = 1.6;

let part = null; // shown part: {x, y} of its center, and width; in units of world.svg
let loaded = null; // {key, cell, within, places}
// Requests by their purpose: loading a part must not end the request for all places.
const requests = { fit: new AbortController(), load: new AbortController() };
let restTimer = 0;

export const worldView = { element: "world", show, leave, listen };

const getSize = () => ({ width: $("world").clientWidth || 1, height: $("world").clientHeight || 1 });
const getScale = () => getSize().width / part.width; // pixels per unit

async function show(state, { again, back, isNew }) {
  const wanted = readPart(state.at);
  if (wanted && (isNew || back || !part)) part = wanted;
  if (again || filterKey(state) !== loaded?.key) hideNotice(); // so that the map has its size
  try {
    if (!part || (isNew && !wanted)) await fitPlaces(state);
    await load(state, again);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  }
}

function leave() {
  clearTimeout(restTimer);
  for (const each of Object.values(requests)) each.abort();
  hideNotice();
  [part, loaded] = [null, null];
  $("status").textContent = "";
  $("clusters").replaceChildren();
}

// --- the shown part ----------------------------------------------------------------------------

const formatPart = () =>
  part
    ? [toLatitude(part.y), toLongitude(part.x), part.width / UNITS].map((n) => Number(n.toFixed(4))).join(",")
    : "";

function readPart(at) {
  const [latitude, longitude, degrees] = at.split(",").map(Number);
  return at && [latitude, longitude, degrees].every(Number.isFinite) && degrees > 0
    ? { x: toX(longitude), y: toY(latitude), width: degrees * UNITS }
    : null;
}

async function fitPlaces(state) {
  part = { x: WORLD.width / 2, y: WORLD.height / 2, width: WORLD.width };
  const places = await loadPlaces("fit", state, 1, "");
  if (!places.length) return;
  const xs = places.map(({ longitude }) => toX(longitude));
  const ys = places.map(({ latitude }) => toY(latitude));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const { width, height } = getSize();
  const wanted = MARGIN * Math.max(right - left, ((bottom - top) * width) / height);
  part = { x: (left + right) / 2, y: (top + bottom) / 2, width: Math.max(MIN_FIT_DEGREES * UNITS, wanted) };
  keepInView();
}

function keepInView() {
  const { width, height } = getSize();
  const all = Math.max(WORLD.width, (WORLD.height * width) / height);
  part.width = Math.min(all, Math.max(MIN_WIDTH, part.width));
  const clamp = (center, size, limit) =>
    size >= limit ? limit / 2 : Math.min(limit - size / 2, Math.max(size / 2, center));
  part.x = clamp(part.x, part.width, WORLD.width);
  part.y = clamp(part.y, (part.width * height) / width, WORLD.height);
}

function changePart(change) {
  if (!part) return;
  Object.assign(part, change);
  keepInView();
  draw();
  clearTimeout(restTimer);
  restTimer = setTimeout(() => changeState({ at: formatPart() }, { replace: true }), REST_MS);
}

// The frame has another size, unless it is hidden.
function fit() {
  if (!part || !loaded || !$("world").clientWidth) return;
  keepInView();
  draw();
  clearTimeout(restTimer);
  restTimer = setTimeout(() => show(getState(), {}), REST_MS);
}

const move = (dx, dy) => changePart({ x: part.x - dx / getScale(), y: part.y - dy / getScale() });

// Zoom, so that a point of the window keeps its place; no point: the center.
function zoomBy(factor, point = null) {
  if (!part) return;
  const { left, top, width, height } = $("world").getBoundingClientRect();
  const [dx, dy] = point ? [point.x - left - width / 2, point.y - top - height / 2] : [0, 0];
  const before = getScale();
  const after = width / Math.max(MIN_WIDTH, part.width / factor);
  changePart({
    x: part.x + dx / before - dx / after, y: part.y + dy / before - dy / after, width: width / after,
  });
}

async function showAll() {
  await fitPlaces(getState()).catch(() => {});
  changePart({});
}

// --- pictures ----------------------------------------------------------------------------------

async function loadPlaces(purpose, state, cell, within) {
  requests[purpose].abort();
  requests[purpose] = new AbortController();
  return getPlaces(state, cell, within, requests[purpose].signal);
}

// Load the clusters of the shown part, unless they are loaded.
async function load(state, again) {
  const { width, height } = getSize();
  const degrees = part.width / UNITS;
  const cell = Math.max(MIN_CELL, 90 / 2 ** Math.ceil(Math.log2((90 * width) / (CELL_PX * degrees))));
  const key = filterKey(state);
  const shownPart = makeArea(degrees, (degrees * height) / width);
  const isLoaded = loaded?.key === key && loaded.cell === cell && contains(loaded.within, shownPart);
  if (!isLoaded || again) {
    const within = makeArea(degrees * LOADED_SCREENS, (degrees * LOADED_SCREENS * height) / width);
    const places = await loadPlaces("load", state, cell, within.join(","));
    loaded = { key, cell, within, places };
    const all = degrees * LOADED_SCREENS >= 360;
    if (!places.length && all) showNoPlace(state);
    else hideNotice();
  }
  draw();
  drawStatus(shownPart);
}

// Return [south, west, north, east] of a part around the shown center, in degrees.
function makeArea(width, height) {
  const [latitude, longitude] = [toLatitude(part.y), toLongitude(part.x)];
  const limit = (value, most) => Number(Math.min(most, Math.max(-most, value)).toFixed(4));
  return [
    limit(latitude - height / 2, 90), limit(longitude - width / 2, 180),
    limit(latitude + height / 2, 90), limit(longitude + width / 2, 180),
  ];
}

const contains = (outer, [south, west, north, east]) =>
  outer[0] <= south && outer[1] <= west && outer[2] >= north && outer[3] >= east;

function draw() {
  const { width, height } = getSize();
  const scale = getScale();
  const [left, top] = [part.x - part.width / 2, part.y - height / scale / 2];
  $("world-outline").setAttribute("viewBox", `${left} ${top} ${part.width} ${height / scale}`);
  $("world-grid").setAttribute("d", makeGrid(left, top, part.width, height / scale));
  $("world-in").disabled = part.width <= MIN_WIDTH;
  const points = (loaded?.places ?? []).map((place) => ({
    ...place, x: (toX(place.longitude) - left) * scale, y: (toY(place.latitude) - top) * scale,
  }));
  drawClusters(mergeNear(points), { width, height });
}

function drawStatus(shownPart) {
  const count = loaded.places
    .filter(({ latitude, longitude }) => contains(shownPart, [latitude, longitude, latitude, longitude]))
    .reduce((sum, { images }) => sum + images, 0);
  $("status").textContent = text("pictures_here", count);
}

function showNoPlace(state) {
  const isFiltered = activeFilters(state).length > 0;
  showNotice("empty", {
    title: text("no_places"),
    text: text(isFiltered ? "no_places_filtered" : "no_places_text"),
    actions: [
      ...(isFiltered ? [[text("remove_all_filters"), resetFilters]] : []),
      [text("by_likeness"), () => changeState({ ...NO_VIEW, view: "likeness" })],
    ],
  });
}

function useKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !part) return;
  const act = {
    ArrowLeft: () => move(KEY_STEP, 0), ArrowRight: () => move(-KEY_STEP, 0),
    ArrowUp: () => move(0, KEY_STEP), ArrowDown: () => move(0, -KEY_STEP),
    "+": () => zoomBy(ZOOM), "=": () => zoomBy(ZOOM), "-": () => zoomBy(1 / ZOOM), 0: showAll,
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function listen() {
  const isOnMap = (event) => !event.target.closest("button");
  listenToGestures($("world"), {
    isActive: isOnMap, drag: move, pinch: zoomBy, swipe: () => {}, tap: () => {},
    doubleTap: (point) => zoomBy(2, point),
  });
  listenToWheel($("world"), zoomBy);
  $("world").addEventListener("keydown", useKey);
  $("world-in").addEventListener("click", () => zoomBy(ZOOM));
  $("world-out").addEventListener("click", () => zoomBy(1 / ZOOM));
  $("world-all").addEventListener("click", showAll);
  new ResizeObserver(fit).observe($("world"));
}
