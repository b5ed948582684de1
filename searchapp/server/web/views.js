// Drawing of tiles, folder and year options, and notices.
// Paths can contain any characters, so all texts are set as text nodes, never as HTML.

import { thumbnailUrl } from "./api.js";

export const $ = (id) => document.getElementById(id);

export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// The score filter compares rounded scores: a picture shown with 0.412 passes a minimum of 0.412.
export const roundScore = (score) => Math.round(score * 1000) / 1000;
export const formatScore = (score) => roundScore(score).toFixed(3);
export const formatCount = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// Format a date in the time zone of the camera: its offset is cut off, so nothing is converted.
export function formatDate(takenAt, options = { dateStyle: "medium" }) {
  const local = new Date(takenAt.slice(0, 19));
  return Number.isNaN(local.valueOf())
    ? takenAt
    : new Intl.DateTimeFormat("en-GB", options).format(local);
}

// Format a time in a video: 1:23, 1:02:03.
export function formatClock(totalSeconds) {
  const hours = Math.floor(totalSeconds / 3600);
  const minutes = Math.floor(totalSeconds / 60) % 60;
  const seconds = Math.floor(totalSeconds) % 60;
  const [first, ...others] = hours ? [hours, minutes, seconds] : [minutes, seconds];
  return [first, ...others.map((part) => String(part).padStart(2, "0"))].join(":");
}

export const isVideoFrame = (hit) => hit.seconds !== null && hit.seconds !== undefined;

let rootFolder = ""; // the deepest folder that contains all others; paths are shown relative to it

export const shortenFolder = (folder) =>
  folder.startsWith(`${rootFolder}/`) && rootFolder
    ? folder.slice(rootFolder.length + 1)
    : folder.slice(folder.lastIndexOf("/") + 1) || folder;

export const isRootFolder = (folder) => folder === rootFolder;

export function addFolderOption(folder) {
  const textContent = shortenFolder(folder);
  $("folder").append(createElement("option", { value: folder, textContent, selected: true }));
}

export function fillFolderOptions(folders) {
  const counts = new Map();
  const split = folders.map(({ path }) => path.split("/"));
  const depth = split[0]?.findIndex((part, i) => split.some((other) => other[i] !== part)) ?? 0;
  rootFolder = (split[0] ?? []).slice(0, depth < 0 ? undefined : depth).join("/");
  for (const { path, images } of folders) {
    // The folder filter includes subfolders, so a picture counts for all parent folders too.
    let parent = path;
    while (parent.length > rootFolder.length) {
      counts.set(parent, (counts.get(parent) ?? 0) + images);
      parent = parent.slice(0, parent.lastIndexOf("/"));
    }
  }
  const sorted = [...counts].sort(([a], [b]) => (a + "/" < b + "/" ? -1 : 1));
  $("folder").replaceChildren(
    $("folder").options[0],
    ...sorted.map(([path, images]) => {
      const names = path.slice(rootFolder ? rootFolder.length + 1 : 0).split("/");
      const indent = "\u2003".repeat(names.length - 1);
      const textContent = `${indent}${names.at(-1)} (${images})`;
      return createElement("option", { value: path, textContent });
    }),
  );
  $("folder-field").hidden = counts.size === 0;
}

export function fillYearOptions(first, last) {
  for (let year = parseInt(last); year >= parseInt(first); year -= 1) {
    $("years").append(createElement("option", { value: String(year) }));
  }
}

// The date of a file is less certain than the date of a picture, so it is shown in italics.
function makeDate(hit) {
  const isByFile = hit.date_from === "file";
  return createElement("span", {
    className: isByFile ? "day by-file" : "day",
    textContent: hit.date ? formatDate(hit.date) : "\u00a0",
    title: isByFile ? "Date of the file: the picture has no date of its own" : "",
  });
}

export function makeTile(hit, url) {
  // CSS lays out the rows. It needs the aspect ratio before the thumbnail is loaded.
  const ratio = hit.width / hit.height || 1;
  const width = (side) => Math.round(side * Math.min(1, ratio));
  const image = createElement("img", { loading: "lazy", decoding: "async", alt: hit.name });
  image.sizes = `${Math.round(240 * ratio)}px`;
  image.srcset = [320, 640].map((s) => `${thumbnailUrl(hit, s)} ${width(s)}w`).join(", ");
  image.src = thumbnailUrl(hit, 320);
  image.addEventListener("error", () => item.classList.add("gone"), { once: true });
  const link = createElement("a", { href: url }, image);
  if (isVideoFrame(hit)) {
    const stamp = { className: "stamp", textContent: formatClock(hit.seconds) };
    link.append(createElement("span", { ...stamp, title: "Time in the video" }));
  }
  link.append(
    createElement(
      "span",
      { className: "caption" },
      createElement("span", {
        className: "score", textContent: formatScore(hit.score), title: "Score",
      }),
      createElement("bdi", { textContent: shortenFolder(hit.folder), title: hit.path }),
      makeDate(hit),
    ),
  );
  const item = createElement("li", {}, link);
  item.dataset.id = hit.id;
  item.style.setProperty("--ratio", ratio);
  return item;
}

// Return the tile next to an item. direction: -1 left, 1 right, -2 up, 2 down.
// Rows have tiles of different widths, so up and down go to the nearest center.
export function findNeighbor(item, direction) {
  if (direction === -1) return item.previousElementSibling;
  const items = [...item.parentElement.querySelectorAll("li:not([hidden])")];
  if (direction === 1) return items[items.indexOf(item) + 1];
  const { left, width } = item.getBoundingClientRect();
  const tops = items.map((other) => other.offsetTop);
  const candidateTops = tops.filter((top) => (top - item.offsetTop) * direction > 0);
  const rowTop = direction < 0 ? Math.max(...candidateTops) : Math.min(...candidateTops);
  const distance = (other) => {
    const rectangle = other.getBoundingClientRect();
    return Math.abs(rectangle.left + rectangle.width / 2 - left - width / 2);
  };
  const row = items.filter((other) => other.offsetTop === rowTop);
  return row.sort((a, b) => distance(a) - distance(b))[0];
}

// Show a text instead of results: the start page, an empty result, waiting, or an error.
export function showNotice(kind, { title = "", text = "", code = "", actions = [] } = {}) {
  const section = $("notice");
  section.hidden = false;
  section.className = kind;
  $("notice-title").textContent = title;
  $("notice-title").hidden = !title;
  $("notice-text").textContent = text.charAt(0).toUpperCase() + text.slice(1);
  $("notice-code").textContent = code;
  $("notice-code").hidden = !code;
  $("notice-actions").replaceChildren(
    ...actions.map(([label, action]) => {
      const button = createElement("button", {
        type: "button", className: "button", textContent: label,
      });
      button.addEventListener("click", action);
      return createElement("li", {}, button);
    }),
  );
}

export const hideNotice = () => ($("notice").hidden = true);
