// Zoom and pan of the picture in the large view, by a CSS transform.

import { $ } from "./views.js";

const KEY_STEP = 1.5;
const MIN_MAX_SCALE = 4; // also a small picture can be enlarged this much
const MAX_PIXEL = 4; // CSS pixels of one pixel of the picture, at the highest zoom
const QUICK_SCALE = 2.5; // of a double click, if the picture has few pixels

let scale = 1; // 1: the picture fits into the stage
let [x, y] = [0, 0]; // shift of the center, in CSS pixels
let pictureWidth = 1; // pixels of the original, which can be loaded later than its thumbnail

export const isZoomed = () => scale > 1.001;

// Show a new picture so that it fits. width: of the original, in pixels.
export function resetZoom(width = pictureWidth) {
  pictureWidth = width;
  apply(1, 0, 0);
}

// Return the size of the picture on the screen without zoom, in CSS pixels.
export function measurePicture() {
  const image = $("large-image");
  const ratio = Number(image.style.getPropertyValue("--width")) /
    Number(image.style.getPropertyValue("--height"));
  const { clientWidth: width, clientHeight: height } = image;
  return { width: Math.min(width, height * ratio), height: Math.min(height, width / ratio) };
}

const getMaxScale = () =>
  Math.max(MIN_MAX_SCALE, (MAX_PIXEL * pictureWidth) / Math.max(1, measurePicture().width));

// Zoom around a point of the window; without a point, around the center of the stage.
export function zoomBy(factor, point = findCenter()) {
  if ($("large-image").hidden) return; // a video has no zoom
  const next = Math.min(getMaxScale(), Math.max(1, scale * factor));
  const center = findCenter();
  const [dx, dy] = [point.x - center.x, point.y - center.y];
  const growth = next / scale;
  apply(next, dx - (dx - x) * growth, dy - (dy - y) * growth);
}

// Fit the picture into a stage of another size, with the same zoom.
export const keepZoom = () => apply(scale, x, y);

export const zoomIn = () => zoomBy(KEY_STEP);
export const zoomOut = () => zoomBy(1 / KEY_STEP);

// Switch between the complete picture, and its pixels as pixels of the screen.
export function toggleZoom(point) {
  if (isZoomed()) return resetZoom();
  const pixels = pictureWidth / Math.max(1, measurePicture().width);
  return zoomBy(pixels > 1.2 ? pixels : QUICK_SCALE, point);
}

// Move the enlarged picture; return whether it has moved, which it does not beyond its edges.
export function pan(dx, dy) {
  const [oldX, oldY] = [x, y];
  apply(scale, x + dx, y + dy);
  return x !== oldX || y !== oldY;
}

function findCenter() {
  const { left, top, width, height } = $("stage").getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2 };
}

function apply(nextScale, nextX, nextY) {
  const { width, height } = measurePicture();
  const stage = $("stage");
  const limit = (size, space) => Math.max(0, (size * nextScale - space) / 2);
  const clamp = (value, end) => Math.min(end, Math.max(-end, value));
  scale = nextScale;
  x = clamp(nextX, limit(width, stage.clientWidth));
  y = clamp(nextY, limit(height, stage.clientHeight));
  const transform = isZoomed() ? `translate(${x}px, ${y}px) scale(${scale})` : "";
  $("large-image").style.transform = transform;
  // The box of the image is larger than the picture in it.
  for (const id of ["large-ground", "large-marks"]) {
    Object.assign($(id).style, { transform, width: `${width}px`, height: `${height}px` });
  }
  stage.classList.toggle("zoomed", isZoomed());
  $("zoom-level").hidden = !isZoomed();
  $("zoom-level").textContent = `${Math.round((100 * width * scale) / pictureWidth)} %`;
}
