// A map of pictures on a canvas: similar pictures are next to each other. The page of `serve` and
// the file that `searchapp map` writes share this module.

import { listenToGestures, listenToWheel } from "./gestures.js";

const GAP = 0.06; // of a cell, between two pictures
const MIN_ZOOM_FACTOR = 0.5;
const BADGE_ZOOM = 72; // pixels of a cell from which a picture has room for a badge
const KEY_STEP = 90; // pixels
const KEY_ZOOM = 1.4;
const BUTTON_ZOOM = 1.6;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// data: see make_map_data in write_map.py. handlers: choose(tile), or choose(null) for a place
// without a picture; hover(tile, {x, y}), or hover(null); format(number).
// Return an object with the state of the map, and functions that change it.
export function createPictureMap(canvas, data, { choose, hover, format }) {
  const pen = canvas.getContext("2d");
  const tiles = data.tiles.map(([x, y, w, h, folder, name, uri, date, count, id], number) =>
    ({ x, y, w, h, name, uri, date, count, id, number, folder: data.folders[folder] }));
  const tileByCell = new Map(tiles.map((tile) => [tile.x + tile.y * data.columns, tile]));
  const perSheet = data.across * data.across;
  const map = { tiles, zoom: 1, left: 0, top: 0, width: 0, height: 0, sheets: [] }; // zoom: pixels per cell
  let hovered = null, chosen = null, isPaintQueued = false;

  const zoomToFit = () => Math.min(map.width / (data.columns + 1), map.height / (data.rows + 1));
  const maxZoom = () => Math.max(zoomToFit(), 2 * data.side, Math.min(map.width, map.height) * 0.8);

  map.showAll = () => {
    map.zoom = zoomToFit();
    map.left = (map.width - data.columns * map.zoom) / 2;
    map.top = (map.height - data.rows * map.zoom) / 2;
    draw();
  };
  map.zoomAt = (x, y, factor) => {
    const next = clamp(map.zoom * factor, Math.max(0.5, zoomToFit() * MIN_ZOOM_FACTOR), maxZoom());
    map.left = x - ((x - map.left) * next) / map.zoom;
    map.top = y - ((y - map.top) * next) / map.zoom;
    map.zoom = next;
    keepInView();
  };
  map.zoomAtCenter = (factor) => map.zoomAt(map.width / 2, map.height / 2, factor);
  map.zoomIn = () => map.zoomAtCenter(BUTTON_ZOOM);
  map.zoomOut = () => map.zoomAtCenter(1 / BUTTON_ZOOM);

  function move(x, y) {
    map.left += x;
    map.top += y;
    keepInView();
  }
  function keepInView() { // A part of the map always stays visible.
    map.left = clamp(map.left, map.width / 2 - data.columns * map.zoom, map.width / 2);
    map.top = clamp(map.top, map.height / 2 - data.rows * map.zoom, map.height / 2);
    draw();
  }
  function toCanvas({ clientX, clientY }) {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }
  function findTile({ x, y }) {
    const column = Math.floor((x - map.left) / map.zoom), row = Math.floor((y - map.top) / map.zoom);
    if (column < 0 || row < 0 || column >= data.columns || row >= data.rows) return null;
    return tileByCell.get(column + row * data.columns) ?? null;
  }
  function findNearest() { // The tile in the middle of the canvas.
    const x = (map.width / 2 - map.left) / map.zoom - 0.5, y = (map.height / 2 - map.top) / map.zoom - 0.5;
    const squaredDistance = (tile) => (tile.x - x) ** 2 + (tile.y - y) ** 2;
    return tiles.reduce((best, tile) => (!best || squaredDistance(tile) < squaredDistance(best) ? tile : best), null);
  }
  // Return [left, top, width, height] on the canvas, with the picture's aspect ratio.
  map.findBox = (tile) => {
    const room = map.zoom * (1 - GAP), scale = room / Math.max(tile.w, tile.h);
    const w = tile.w * scale, h = tile.h * scale;
    return [map.left + tile.x * map.zoom + (map.zoom - w) / 2, map.top + tile.y * map.zoom + (map.zoom - h) / 2, w, h];
  };
  // Return the thumbnail of a tile, as drawImage takes it.
  map.findSource = (tile) => {
    const index = tile.number % perSheet;
    return [map.sheets[Math.floor(tile.number / perSheet)],
      (index % data.across) * data.side, Math.floor(index / data.across) * data.side, tile.w, tile.h];
  };
  map.choose = (tile) => {
    chosen = tile;
    draw();
    choose(tile);
  };

  function draw() {
    if (isPaintQueued) return;
    isPaintQueued = true;
    requestAnimationFrame(paint);
  }
  function paint() {
    isPaintQueued = false;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(map.width * ratio), height = Math.round(map.height * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, map.width, map.height);
    pen.imageSmoothingQuality = "high";
    const style = getComputedStyle(document.documentElement);
    const line = style.getPropertyValue("--line"), mark = style.getPropertyValue("--accent");
    for (const tile of tiles) {
      const [x, y, w, h] = map.findBox(tile);
      if (x + w < 0 || y + h < 0 || x > map.width || y > map.height) continue;
      const [sheet, ...part] = map.findSource(tile);
      if (sheet.complete && sheet.naturalWidth) pen.drawImage(sheet, ...part, x, y, w, h);
      else {
        pen.fillStyle = line;
        pen.fillRect(x, y, w, h);
      }
      if (tile.count > 1 && map.zoom >= BADGE_ZOOM) drawBadge(tile, x, y + h);
    }
    for (const tile of new Set([hovered, chosen])) {
      if (!tile) continue;
      const [x, y, w, h] = map.findBox(tile);
      pen.strokeStyle = mark;
      pen.lineWidth = 3;
      pen.strokeRect(x - 1, y - 1, w + 2, h + 2);
    }
  }
  function drawBadge(tile, x, bottom) { // How many more pictures the tile represents.
    const text = "+" + format(tile.count - 1);
    pen.font = "12px system-ui, sans-serif";
    const width = pen.measureText(text).width + 8;
    pen.fillStyle = "#000a";
    pen.fillRect(x, bottom - 18, width, 18);
    pen.fillStyle = "#fff";
    pen.fillText(text, x + 4, bottom - 5);
  }

  function setHovered(tile, point) {
    if (tile !== hovered) draw();
    hovered = tile;
    canvas.style.cursor = tile ? "pointer" : "";
    hover(tile, point);
  }
  function useKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "+": () => map.zoomAtCenter(KEY_ZOOM), "=": () => map.zoomAtCenter(KEY_ZOOM),
      "-": () => map.zoomAtCenter(1 / KEY_ZOOM), 0: map.showAll,
      ArrowLeft: () => move(KEY_STEP, 0), ArrowRight: () => move(-KEY_STEP, 0),
      ArrowUp: () => move(0, KEY_STEP), ArrowDown: () => move(0, -KEY_STEP),
      Enter: () => map.choose(findNearest()),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
  function fit() { // The canvas has another size.
    const isFitted = !map.width || Math.abs(map.zoom - zoomToFit()) < 1e-6;
    map.width = canvas.clientWidth;
    map.height = canvas.clientHeight;
    if (!map.width || !map.height) return; // it is hidden
    if (isFitted) map.showAll();
    else keepInView();
  }

  map.sheets = data.sheets.map((url) => {
    const image = new Image();
    image.onload = draw;
    image.src = url;
    return image;
  });
  listenToGestures(canvas, {
    isActive: () => {
      canvas.classList.add("held");
      setHovered(null);
      return true;
    },
    drag: move,
    pinch: (factor, { x, y }) => {
      const point = toCanvas({ clientX: x, clientY: y });
      map.zoomAt(point.x, point.y, factor);
    },
    swipe: () => {},
    tap: (event) => map.choose(findTile(toCanvas(event))),
    doubleTap: ({ x, y }) => {
      const point = toCanvas({ clientX: x, clientY: y });
      map.zoomAt(point.x, point.y, 2);
    },
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => canvas.classList.remove("held"));
  }
  listenToWheel(canvas, (factor, { x, y }) => {
    const point = toCanvas({ clientX: x, clientY: y });
    map.zoomAt(point.x, point.y, factor);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || event.buttons) return;
    setHovered(findTile(toCanvas(event)), { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointerleave", () => setHovered(null));
  canvas.addEventListener("keydown", useKey);
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  darkScheme.addEventListener("change", draw);
  const observer = new ResizeObserver(fit);
  observer.observe(canvas);
  map.close = () => {
    observer.disconnect();
    darkScheme.removeEventListener("change", draw);
  };
  fit();
  return map;
}
