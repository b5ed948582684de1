// A plain map of the world to filter by place: dots where pictures were taken, and a rectangle that
// the user draws. The outline is world.svg: no tiles, no request to other servers.

import { $ } from "./views.js";
import { UNITS, WORLD, toX, toY } from "./world_units.js";

const SVG = "http://www.w3.org/2000/svg";
const MIN_WIDTH = 4 * UNITS; // of the shown part: the dots are squares of one degree
const MARGIN = 1.3; // of the shown part around the dots

let view = WORLD; // part of the map that is shown, in units
let isFitted = false; // to the places of the first answer
let start = null; // corner of the rectangle while the user draws it, in units
let changeArea = () => {};

// places: [[south, west, number of pictures]], squares of one degree.
export function drawPlaceMap(places, { area, near }) {
  $("place").hidden = !places.length && !area && !near;
  if (!isFitted && places.length) {
    isFitted = true;
    showPart(fitPlaces(places));
  }
  const most = Math.max(1, ...places.map(([, , count]) => count));
  $("map-dots").replaceChildren(
    ...places.map(([south, west, count]) => {
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("cx", toX(west + 0.5));
      dot.setAttribute("cy", toY(south + 0.5));
      dot.dataset.weight = 0.6 + 0.9 * Math.sqrt(count / most);
      return dot;
    }),
  );
  drawRectangle(area ? areaToRectangles(area) : []);
  sizeDots();
}

function fitPlaces(places) {
  const xs = places.map(([, west]) => toX(west + 0.5));
  const ys = places.map(([south]) => toY(south + 0.5));
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const width = Math.max(20 * UNITS, MARGIN * Math.max(right - left, 2 * (bottom - top)));
  return makeView((left + right) / 2, (top + bottom) / 2, width);
}

// Return the part of the map around a center; all parts have the shape of the world.
function makeView(centerX, centerY, wantedWidth) {
  const width = Math.min(WORLD.width, Math.max(MIN_WIDTH, wantedWidth));
  const height = width / 2;
  const clamp = (value, size, limit) => Math.min(limit - size, Math.max(0, value));
  return {
    x: clamp(centerX - width / 2, width, WORLD.width),
    y: clamp(centerY - height / 2, height, WORLD.height),
    width,
    height,
  };
}

function showPart(part) {
  view = part;
  $("map").setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  $("map-in").disabled = view.width <= MIN_WIDTH;
  $("map-out").disabled = view.width >= WORLD.width;
  sizeDots();
}

// Dots keep their size on the screen in each zoom.
function sizeDots() {
  for (const dot of $("map-dots").children) {
    dot.setAttribute("r", (view.width / 90) * Number(dot.dataset.weight));
  }
}

function zoom(factor) {
  const [x, y] = [view.x + view.width / 2, view.y + view.height / 2];
  showPart(makeView(x, y, view.width * factor));
}

function areaToRectangles(area) {
  const [south, west, north, east] = area.split(",").map(Number);
  const parts = west <= east ? [[west, east]] : [[west, 180], [-180, east]];
  return parts.map(([left, right]) => [toX(left), toY(north), toX(right), toY(south)]);
}

// corners: [left, top, right, bottom] of each rectangle, in units.
function drawRectangle(corners) {
  $("map-area").replaceChildren(
    ...corners.map(([left, top, right, bottom]) => {
      const element = document.createElementNS(SVG, "rect");
      element.setAttribute("x", left);
      element.setAttribute("y", top);
      element.setAttribute("width", right - left);
      element.setAttribute("height", bottom - top);
      return element;
    }),
  );
}

function findPoint(event) {
  const { left, top, width, height } = $("map").getBoundingClientRect();
  const clamp = (share) => Math.min(1, Math.max(0, share));
  return [
    view.x + clamp((event.clientX - left) / width) * view.width,
    view.y + clamp((event.clientY - top) / height) * view.height,
  ];
}

const sortCorners = ([x1, y1], [x2, y2]) => [
  Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2),
];

function finish(event) {
  if (!start) return;
  const [left, top, right, bottom] = sortCorners(start, findPoint(event));
  start = null;
  const format = (degrees) => String(Math.round(degrees * 100) / 100);
  if (right - left < view.width / 60 || bottom - top < view.height / 60) {
    changeArea(""); // a click without a drag removes the rectangle
    return;
  }
  const edges = [90 - bottom / UNITS, left / UNITS - 180, 90 - top / UNITS, right / UNITS - 180];
  changeArea(edges.map(format).join(","));
}

// Arrow keys move the map, + and - zoom.
function moveByKey(event) {
  const step = view.width / 6;
  const [dx, dy] = {
    ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
  }[event.key] ?? [0, 0];
  if (event.key === "+") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else if (dx || dy) {
    const [x, y] = [view.x + view.width / 2 + dx, view.y + view.height / 2 + dy];
    showPart(makeView(x, y, view.width));
  } else return;
  event.preventDefault();
}

// callback(area): called with SOUTH,WEST,NORTH,EAST, or "" without a rectangle.
export function listenToPlaceMap(callback) {
  changeArea = callback;
  const map = $("map");
  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    start = findPoint(event);
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", (event) => {
    if (start) drawRectangle([sortCorners(start, findPoint(event))]);
  });
  map.addEventListener("pointerup", finish);
  map.addEventListener("pointercancel", () => (start = null));
  map.addEventListener("keydown", moveByKey);
  $("map-in").addEventListener("click", () => zoom(0.5));
  $("map-out").addEventListener("click", () => zoom(2));
}
