"use strict";
const $ = (selector) => document.querySelector(selector);
const data = JSON.parse($("#data").textContent);
const canvas = $("canvas"), pen = canvas.getContext("2d"), tip = $("#tip"), panel = $("aside");
const GAP = 0.06, MIN_ZOOM_FACTOR = 0.5;
const tiles = data.tiles.map(([x, y, w, h, folder, name, uri, date, count], number) =>
  ({ x, y, w, h, name, uri, date, count, number, folder: data.folders[folder] }));
const tileByCell = new Map(tiles.map((tile) => [tile.x + tile.y * data.columns, tile]));
const perSheet = data.across * data.across;
const sheets = data.sheets.map((url) => { const image = new Image(); image.onload = draw; image.src = url; return image; });
let zoom = 1, left = 0, top_ = 0, hovered = null, chosen = null, isPaintQueued = false; // zoom: pixels per cell

const pathOf = (tile) => tile.folder[0].replace(/\/$/, "") + "/" + tile.name;
const uriOf = (tile) => tile.folder[1].replace(/\/$/, "") + "/" + tile.uri;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const zoomToFit = () => Math.min(innerWidth / (data.columns + 1), innerHeight / (data.rows + 1));
const maxZoom = () => Math.max(zoomToFit(), 2 * data.side, Math.min(innerWidth, innerHeight) * 0.8);

function showAll() {
  zoom = zoomToFit();
  left = (innerWidth - data.columns * zoom) / 2;
  top_ = (innerHeight - data.rows * zoom) / 2;
  draw();
}
function zoomAt(x, y, factor) {
  const next = clamp(zoom * factor, Math.max(0.5, zoomToFit() * MIN_ZOOM_FACTOR), maxZoom());
  left = x - (x - left) * next / zoom;
  top_ = y - (y - top_) * next / zoom;
  zoom = next;
  keepInView();
}
function move(x, y) { left += x; top_ += y; keepInView(); }
function keepInView() { // A part of the map always stays visible.
  left = clamp(left, innerWidth / 2 - data.columns * zoom, innerWidth / 2);
  top_ = clamp(top_, innerHeight / 2 - data.rows * zoom, innerHeight / 2);
  draw();
}
function tileAt(x, y) {
  const column = Math.floor((x - left) / zoom), row = Math.floor((y - top_) / zoom);
  if (column < 0 || row < 0 || column >= data.columns || row >= data.rows) return null;
  return tileByCell.get(column + row * data.columns) || null;
}
function box(tile) { // [left, top, width, height] on the screen, with the picture's aspect ratio
  const room = zoom * (1 - GAP), scale = room / Math.max(tile.w, tile.h);
  const w = tile.w * scale, h = tile.h * scale;
  return [left + tile.x * zoom + (zoom - w) / 2, top_ + tile.y * zoom + (zoom - h) / 2, w, h];
}
function source(tile) {
  const index = tile.number % perSheet;
  return [sheets[Math.floor(tile.number / perSheet)],
    (index % data.across) * data.side, Math.floor(index / data.across) * data.side, tile.w, tile.h];
}
function draw() { if (!isPaintQueued) { isPaintQueued = true; requestAnimationFrame(paint); } }
function paint() {
  isPaintQueued = false;
  const ratio = window.devicePixelRatio || 1, width = Math.round(innerWidth * ratio), height = Math.round(innerHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, innerWidth, innerHeight);
  pen.imageSmoothingQuality = "high";
  const style = getComputedStyle(document.documentElement), line = style.getPropertyValue("--line"), mark = style.getPropertyValue("--accent");
  for (const tile of tiles) {
    const [x, y, w, h] = box(tile);
    if (x + w < 0 || y + h < 0 || x > innerWidth || y > innerHeight) continue;
    const [sheet, ...part] = source(tile);
    if (sheet.complete && sheet.naturalWidth) pen.drawImage(sheet, ...part, x, y, w, h);
    else { pen.fillStyle = line; pen.fillRect(x, y, w, h); }
    if (tile.count > 1 && zoom >= 72) badge(tile, x, y + h);
  }
  for (const tile of new Set([hovered, chosen])) {
    if (!tile) continue;
    const [x, y, w, h] = box(tile);
    pen.strokeStyle = mark; pen.lineWidth = 3;
    pen.strokeRect(x - 1, y - 1, w + 2, h + 2);
  }
}
function badge(tile, x, bottom) { // Draw how many more pictures the tile represents.
  const text = "+" + (tile.count - 1).toLocaleString();
  pen.font = "12px system-ui, sans-serif";
  const width = pen.measureText(text).width + 8;
  pen.fillStyle = "#000a"; pen.fillRect(x, bottom - 18, width, 18);
  pen.fillStyle = "#fff"; pen.fillText(text, x + 4, bottom - 5);
}
function describeTile(tile) {
  const like = tile.count > 1 ? (tile.count - 1).toLocaleString() + " more like it" : "";
  return [tile.date, like].filter(Boolean).join(" · ");
}
function hover(tile, x, y) {
  if (tile !== hovered) { hovered = tile; draw(); }
  tip.hidden = !tile;
  canvas.style.cursor = tile ? "pointer" : "";
  if (!tile) return;
  tip.textContent = [tile.name, describeTile(tile)].filter(Boolean).join(" · ");
  tip.style.left = clamp(x + 14, 4, Math.max(4, innerWidth - tip.offsetWidth - 4)) + "px";
  tip.style.top = clamp(y + 18, 4, Math.max(4, innerHeight - tip.offsetHeight - 4)) + "px";
}
function choose(tile) {
  chosen = tile;
  panel.hidden = !tile;
  draw();
  if (!tile) return;
  const image = panel.querySelector("img"), large = new Image(), small = document.createElement("canvas");
  small.width = tile.w; small.height = tile.h;
  small.getContext("2d").drawImage(...source(tile), 0, 0, tile.w, tile.h);
  image.src = small.toDataURL("image/png");
  image.alt = tile.name;
  const name = panel.querySelector(".name"), link = document.createElement("a");
  link.href = uriOf(tile); link.target = "_blank"; link.rel = "noopener"; link.textContent = tile.name;
  name.replaceChildren(link);
  panel.querySelector(".more").innerText = [pathOf(tile), describeTile(tile)].filter(Boolean).join("\n");
  if (location.protocol === "file:") { // on this computer: show the file itself
    large.onload = () => { if (chosen === tile) image.src = large.src; }; // still the same choice
    large.src = uriOf(tile);
  }
}

const pointers = new Map();
let pinchDistance = 0, moved = 0;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  if (!pointers.size) moved = 0;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  pinchDistance = measurePinch();
  canvas.classList.add("held");
  tip.hidden = true;
});
function measurePinch() {
  const [a, b] = [...pointers.values()];
  return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
}
canvas.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId), x = event.clientX, y = event.clientY;
  if (!before) { if (event.pointerType === "mouse") hover(tileAt(x, y), x, y); return; }
  pointers.set(event.pointerId, [x, y]);
  const step = [(x - before[0]) / pointers.size, (y - before[1]) / pointers.size];
  moved += Math.hypot(...step);
  move(...step);
  if (pointers.size === 2) {
    const now = measurePinch(), [a, b] = [...pointers.values()];
    if (pinchDistance && now) zoomAt((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, now / pinchDistance);
    pinchDistance = now;
    moved += 99;
  }
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => {
  const had = pointers.delete(event.pointerId);
  pinchDistance = measurePinch();
  if (pointers.size) return;
  canvas.classList.remove("held");
  if (had && kind === "pointerup" && moved < 6) choose(tileAt(event.clientX, event.clientY));
});
canvas.addEventListener("pointerleave", () => hover(null));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 33 : 1;
  zoomAt(event.clientX, event.clientY, Math.exp(-clamp(event.deltaY * lines, -240, 240) / 400));
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoomAt(event.clientX, event.clientY, 2));
function zoomAtCenter(factor) { zoomAt(innerWidth / 2, innerHeight / 2, factor); }
const STEP = 90, keys = {
  "+": () => zoomAtCenter(1.4), "=": () => zoomAtCenter(1.4), "-": () => zoomAtCenter(1 / 1.4), "0": showAll,
  ArrowLeft: () => move(STEP, 0), ArrowRight: () => move(-STEP, 0), ArrowUp: () => move(0, STEP), ArrowDown: () => move(0, -STEP),
  Escape: () => { choose(null); canvas.focus(); },
  Enter: () => choose(nearest()),
};
function nearest() {
  const x = (innerWidth / 2 - left) / zoom - 0.5, y = (innerHeight / 2 - top_) / zoom - 0.5;
  const squaredDistance = (tile) => (tile.x - x) ** 2 + (tile.y - y) ** 2;
  return tiles.reduce((best, tile) => (!best || squaredDistance(tile) < squaredDistance(best) ? tile : best), null);
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (event.key === "Enter" && event.target !== canvas && event.target !== document.body) return;
  event.preventDefault();
  keys[event.key]();
});
$("#in").onclick = () => zoomAtCenter(1.6);
$("#out").onclick = () => zoomAtCenter(1 / 1.6);
$("#all").onclick = showAll;
panel.querySelector("button").onclick = () => { choose(null); canvas.focus(); };
let size = [innerWidth, innerHeight];
addEventListener("resize", () => {
  const isFitted = Math.abs(zoom - Math.min(size[0] / (data.columns + 1), size[1] / (data.rows + 1))) < 1e-6;
  size = [innerWidth, innerHeight];
  if (isFitted) showAll(); else keepInView();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
showAll();
