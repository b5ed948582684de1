// What is drawn. Paths may hold any characters: everything goes in as text, nothing as HTML.

import { film, original, thumbnail } from "./api.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Scores are compared as they are shown, or a picture with 0.412 would hide behind a cut of 0.412.
export const rounded = (score) => Math.round(score * 1000) / 1000;
export const shown = (score) => rounded(score).toFixed(3);
export const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// The time on the camera's clock, whatever the zone of who looks.
function day(takenAt, options = { dateStyle: "medium" }) {
  const local = new Date(takenAt.slice(0, 19));
  return Number.isNaN(local.valueOf())
    ? takenAt
    : new Intl.DateTimeFormat("en-GB", options).format(local);
}

const WHOLE = { dateStyle: "full", timeStyle: "short" };

// A time in a video: 1:23, 1:02:03.
export function clock(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

const isFilm = (hit) => hit.seconds !== null && hit.seconds !== undefined;

let root = ""; // the folder that all others lie in, to show paths without it

export const shortFolder = (folder) =>
  folder.startsWith(`${root}/`) && root
    ? folder.slice(root.length + 1)
    : folder.slice(folder.lastIndexOf("/") + 1) || folder;

export const isRoot = (folder) => folder === root;

export function addFolder(folder) {
  const textContent = shortFolder(folder);
  $("folder").append(make("option", { value: folder, textContent, selected: true }));
}

export function fillFolders(folders) {
  const counts = new Map();
  const split = folders.map(({ path }) => path.split("/"));
  const depth = split[0]?.findIndex((part, i) => split.some((other) => other[i] !== part)) ?? 0;
  root = (split[0] ?? []).slice(0, depth < 0 ? undefined : depth).join("/");
  for (const { path, images } of folders) {
    // A folder's pictures count for those above it, too: the filter takes what lies below.
    for (let at = path; at.length > root.length; at = at.slice(0, at.lastIndexOf("/"))) {
      counts.set(at, (counts.get(at) ?? 0) + images);
    }
  }
  const sorted = [...counts].sort(([a], [b]) => (a + "/" < b + "/" ? -1 : 1));
  $("folder").replaceChildren(
    $("folder").options[0],
    ...sorted.map(([path, images]) => {
      const names = path.slice(root ? root.length + 1 : 0).split("/");
      const indent = "\u2003".repeat(names.length - 1);
      return make("option", { value: path, textContent: `${indent}${names.at(-1)} (${images})` });
    }),
  );
  $("folder-field").hidden = counts.size === 0;
}

export function fillYears(first, last) {
  for (let year = parseInt(last); year >= parseInt(first); year -= 1) {
    $("years").append(make("option", { value: String(year) }));
  }
}

// A file's date is no more than a hint, and looks so.
function dayOf(hit) {
  const byFile = hit.date_from === "file";
  return make("span", {
    className: byFile ? "day by-file" : "day",
    textContent: hit.date ? day(hit.date) : "\u00a0",
    title: byFile ? "The file's date: the picture does not say when it was taken" : "",
  });
}

const STARS = 5;

function stars(rating) {
  if (!rating) return "";
  return rating < 0 ? "Rejected" : "★".repeat(rating) + "☆".repeat(STARS - rating);
}

export function tile(hit, address) {
  // The justified rows are CSS's work; all it needs is the aspect, known before the picture comes.
  const ratio = hit.width / hit.height || 1;
  const width = (size) => Math.round(size * Math.min(1, ratio));
  const image = make("img", { loading: "lazy", decoding: "async", alt: hit.name });
  image.sizes = `${Math.round(240 * ratio)}px`;
  image.srcset = [320, 640].map((s) => `${thumbnail(hit.id, s)} ${width(s)}w`).join(", ");
  image.src = thumbnail(hit.id, 320);
  image.addEventListener("error", () => item.classList.add("gone"), { once: true });
  const link = make(
    "a",
    { href: address },
    image,
    ...(isFilm(hit)
      ? [make("span", { className: "stamp", textContent: clock(hit.seconds), title: "In a video" })]
      : []),
    make(
      "span",
      { className: "caption" },
      make("span", { className: "score", textContent: shown(hit.score), title: "Score" }),
      make("bdi", { textContent: shortFolder(hit.folder), title: hit.path }),
      dayOf(hit),
    ),
  );
  const item = make("li", {}, link);
  item.dataset.id = hit.id;
  item.style.setProperty("--ratio", ratio);
  return item;
}

export function drawLarge(hit, { score, position }) {
  $("large-name").textContent = hit.name;
  const image = $("large-image");
  image.alt = hit.name;
  image.style.setProperty("--width", hit.width);
  image.style.setProperty("--height", hit.height);
  image.src = thumbnail(hit.id, 640); // most often there already: it stands in for the original
  const full = new Image();
  full.src = original(hit.id);
  full.decode().then(
    () => $("large").dataset.id === String(hit.id) && (image.src = full.src),
    () => {}, // a file that is away keeps its thumbnail
  );
  $("large").dataset.id = hit.id;
  drawFilm(hit);
  const path = make("bdi", { id: "path", textContent: hit.path });
  const facts = [
    ["Score", score === null ? "" : shown(score)],
    ["Title", hit.title],
    [hit.date_from === "file" ? "File date" : "Taken", hit.date ? day(hit.date, WHOLE) : ""],
    ["At", isFilm(hit) ? clock(hit.seconds) : ""],
    ["Also shown at", (hit.moments ?? []).map(clock).join(", ")],
    ["Rating", stars(hit.rating)],
    ["Keywords", hit.keywords.join(", ")],
    ["Camera", hit.camera],
    ["Lens", hit.lens],
    ["Place", hit.latitude === null ? "" : `${hit.latitude.toFixed(5)}, ${hit.longitude.toFixed(5)}`],
    ["Size", `${hit.width} × ${hit.height} pixels`],
    ["Path", path],
    ...hit.also.map((other) => ["Also at", make("bdi", { textContent: other })]),
    ...(hit.companions ?? []).map((it) => ["With it", make("bdi", { textContent: it })]),
  ];
  const row = ([name, fact]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", {}, fact));
  $("facts").replaceChildren(...facts.filter(([, fact]) => fact).map(row));
  $("large-status").textContent = `${hit.name} ${position}`;
  $("position").textContent = position;
}

// A video plays from the frame on; where the browser cannot play it, the frame is shown.
function drawFilm(hit) {
  leaveFilm();
  if (!isFilm(hit)) return;
  const [video, image] = [$("large-video"), $("large-image")];
  const ready = () => $("large").dataset.id === String(hit.id) && video.videoWidth > 0;
  video.onloadeddata = () => {
    if (!ready()) return;
    [video.hidden, image.hidden] = [false, true];
  };
  video.src = film(hit.id, hit.seconds);
}

export function leaveFilm() {
  const video = $("large-video");
  video.onloadeddata = null;
  [video.hidden, $("large-image").hidden] = [true, false];
  if (!video.hasAttribute("src")) return;
  video.pause();
  video.removeAttribute("src");
  video.load(); // or the browser goes on fetching it
}

// Left and right in order; up and down to what lies above or below, in rows of differing widths.
export function neighbour(item, way) {
  if (way === -1) return item.previousElementSibling;
  const items = [...item.parentElement.querySelectorAll("li:not([hidden])")];
  if (way === 1) return items[items.indexOf(item) + 1];
  const { left, width } = item.getBoundingClientRect();
  const tops = items.map((other) => other.offsetTop);
  const rows = tops.filter((top) => (top - item.offsetTop) * way > 0);
  const row = way < 0 ? Math.max(...rows) : Math.min(...rows);
  const distance = (other) => {
    const box = other.getBoundingClientRect();
    return Math.abs(box.left + box.width / 2 - left - width / 2);
  };
  const there = items.filter((other) => other.offsetTop === row);
  return there.sort((a, b) => distance(a) - distance(b))[0];
}

// One place for all that is not results: the start, emptiness, waiting and errors.
export function notice(kind, { title = "", text = "", code = "", actions = [] } = {}) {
  const section = $("notice");
  section.hidden = false;
  section.className = kind;
  $("notice-title").textContent = title;
  $("notice-title").hidden = !title;
  $("notice-text").textContent = text.charAt(0).toUpperCase() + text.slice(1);
  $("notice-code").textContent = code;
  $("notice-code").hidden = !code;
  $("notice-actions").replaceChildren(
    ...actions.map(([label, act]) => {
      const button = make("button", { type: "button", className: "button", textContent: label });
      button.addEventListener("click", act);
      return make("li", {}, button);
    }),
  );
}

export const hideNotice = () => ($("notice").hidden = true);
