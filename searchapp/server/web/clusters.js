// The clusters on the map by place: a thumbnail with the number of pictures, which narrows to them.

import { thumbnailUrl } from "./api.js";
import { changeState } from "./navigation.js";
import { NO_VIEW } from "./state.js";
import { formatNumber, text } from "./texts.js";
import { $, createElement, formatArea } from "./views.js";

const MIN_DISTANCE_PX = 56; // two clusters that are nearer become one
const PADDING = 0.0005; // degrees around the pictures, so that a single place has an area

const shown = new Map(); // image id -> button

// Join clusters that would cover each other. points: clusters with {x, y} in pixels, the largest
// first; each of them has the area of its pictures.
export function mergeNear(points) {
  const merged = [];
  for (const point of points) {
    const near = merged.find(({ x, y }) => Math.hypot(x - point.x, y - point.y) < MIN_DISTANCE_PX);
    if (near) {
      near.images += point.images;
      near.area = joinAreas(near.area, point.area);
    } else merged.push({ ...point });
  }
  return merged;
}

function joinAreas(one, other) {
  const [a, b] = [one, other].map((area) => area.split(",").map(Number));
  return [
    Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3]),
  ].join(",");
}

// Draw the clusters in the frame; a button stays while its cluster does, so that it keeps the focus.
export function drawClusters(clusters, { width, height }) {
  const visible = clusters.filter(({ x, y }) => x > -40 && y > -40 && x < width + 40 && y < height + 40);
  const ids = new Set(visible.map(({ image_id: id }) => id));
  for (const [id, button] of shown) {
    if (ids.has(id) && button.isConnected) continue;
    if (button === document.activeElement) $("world").focus({ preventScroll: true });
    button.remove();
    shown.delete(id);
  }
  for (const cluster of visible) drawCluster(cluster);
}

function drawCluster({ x, y, images, area, image_id: id }) {
  if (!shown.has(id)) {
    const image = createElement("img", { src: thumbnailUrl({ id }, 320), alt: "", draggable: false });
    const button = createElement("button", { type: "button", className: "cluster" }, image);
    button.append(createElement("span", { className: "cluster-count" }));
    $("clusters").append(button);
    shown.set(id, button);
  }
  const button = shown.get(id);
  button.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, -50%)`;
  button.querySelector(".cluster-count").textContent = images > 1 ? formatNumber(images) : "";
  button.setAttribute("aria-label", text("cluster", images, formatArea(area)));
  button.onclick = () => (images > 1 ? narrowTo(area) : changeState({ open: id }, { viewing: true }));
}

// Show the pictures of a cluster in the grid.
function narrowTo(area) {
  const [south, west, north, east] = area.split(",").map(Number);
  const limit = (value, most) => Number(Math.min(most, Math.max(-most, value)).toFixed(6));
  const padded = [
    limit(south - PADDING, 90), limit(west - PADDING, 180), limit(north + PADDING, 90), limit(east + PADDING, 180),
  ];
  changeState({ ...NO_VIEW, area: padded.join(","), near: "", min: null, rest: null });
  scrollTo({ top: 0, behavior: "instant" });
  $("results").focus({ preventScroll: true });
}
