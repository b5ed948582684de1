// The map by likeness: similar pictures are next to each other, as in the file of `searchapp map`.

import { getPictureMap, startMap } from "./api.js";
import { runJob, stopWaiting } from "./background_job.js";
import { filterKey } from "./filters.js";
import { showProblem } from "./gallery.js";
import { changeState, getState, showAgain } from "./navigation.js";
import { hideNotice, showNotice } from "./notices.js";
import { createPictureMap } from "./picture_map.js";
import { formatNumber, text } from "./texts.js";
import { $, createElement, formatDate } from "./views.js";

let map = null;
let shownKey = null; // of the filters whose map is shown or computed

export const likenessView = { element: "likeness", show, leave, listen };

async function show(state, { again }) {
  const key = filterKey(state);
  if (key === shownKey && !again) return;
  shownKey = key;
  hideNotice();
  clear();
  try {
    const job = await runJob(() => startMap(state));
    if (job.state === "canceled") showCanceled();
    else draw(await getPictureMap(job.id));
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  }
}

function draw(data) {
  if (getState().view !== "likeness") return;
  clear();
  const canvas = createElement("canvas", { className: "picture-map", tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", text("likeness_map"));
  $("likeness").prepend(canvas);
  map = createPictureMap(canvas, data, {
    choose: (tile) => tile && changeState({ open: tile.id }, { viewing: true }),
    hover: showTip,
    format: formatNumber,
  });
  const { length } = map.tiles;
  $("status").textContent =
    length < data.matching ? text("likeness_part", length, data.matching) : text("pictures_count", length);
}

function showTip(tile, point) {
  $("map-tip").hidden = !tile;
  if (!tile) return;
  const more = tile.count > 1 ? text("more_like_it", tile.count - 1) : "";
  const date = tile.date ? formatDate(`${tile.date}T00:00:00`) : "";
  $("map-tip").textContent = [tile.name, date, more].filter(Boolean).join(" · ");
  const { style, offsetWidth, offsetHeight } = $("map-tip");
  style.left = `${Math.max(4, Math.min(innerWidth - offsetWidth - 4, point.x + 14))}px`;
  style.top = `${Math.max(4, Math.min(innerHeight - offsetHeight - 4, point.y + 18))}px`;
}

function showCanceled() {
  shownKey = null;
  showNotice("empty", { title: text("canceled"), actions: [[text("start_again"), showAgain]] });
}

function clear() {
  map?.close();
  map = null;
  $("likeness").querySelector("canvas")?.remove();
  $("map-tip").hidden = true;
  $("status").textContent = "";
}

function leave() {
  stopWaiting();
  shownKey = null;
  hideNotice();
  clear();
}

function listen() {
  $("likeness-in").addEventListener("click", () => map?.zoomIn());
  $("likeness-out").addEventListener("click", () => map?.zoomOut());
  $("likeness-all").addEventListener("click", () => map?.showAll());
}
