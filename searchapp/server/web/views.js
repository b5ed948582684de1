// Helpers to draw and format. Paths can contain any characters, so all texts are set as text
// nodes, never as HTML.

import { LOCALE, text } from "./texts.js";
export const $ = (id) => document.getElementById(id);

export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// name: of a symbol in index.html.
export function createIcon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// Whether no modifier key and no button but the main one is pressed.
export const isPlain = (event) =>
  !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

// The score filter compares rounded scores: a picture shown with 0.412 passes a minimum of 0.412.
export const roundScore = (score) => Math.round(score * 1000) / 1000;
export const formatScore = (score) => roundScore(score).toFixed(3);

const dateFormats = new Map(); // creating a format is slow, and a timeline has thousands of days

// Format a date in the time zone of the camera: its offset is cut off, so nothing is converted.
export function formatDate(takenAt, options = { dateStyle: "medium" }) {
  const local = new Date(takenAt.slice(0, 19));
  if (Number.isNaN(local.valueOf())) return takenAt;
  const key = JSON.stringify(options);
  if (!dateFormats.has(key)) dateFormats.set(key, new Intl.DateTimeFormat(LOCALE, options));
  return dateFormats.get(key).format(local);
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

const RATING_LABELS = { rejected: text("rejected"), unrated: text("unrated") };

// Format a rating of a filter: 4, 4+, 2-4, rejected or unrated.
export function formatRating(rating) {
  const [, stars, rest] = /^([1-5])(.*)$/.exec(rating) ?? [];
  return RATING_LABELS[rating] ?? (stars ? "★".repeat(Number(stars)) + rest : rating);
}

export function formatDateRange(after, before) {
  if (after === before) return after;
  if (after && before) return text("between", after, before);
  return after ? text("since", after) : text("until", before);
}

// Format a rectangle on the map, from SOUTH,WEST,NORTH,EAST.
export function formatArea(area) {
  const [south, west, north, east] = area.split(",").map(Number);
  const format = (value, [positive, negative]) =>
    `${Math.abs(Math.round(value * 10) / 10)}°${value < 0 ? negative : positive}`;
  const [latitude, longitude] = [text("directions").slice(0, 2), text("directions").slice(2)];
  const formatSide = (a, b, letters) => text("between", format(a, letters), format(b, letters));
  return `${formatSide(south, north, latitude)}, ${formatSide(west, east, longitude)}`;
}

let rootFolder = ""; // the deepest folder that contains all others; paths are shown relative to it

// folders: [{path}] of the library.
export function findRootFolder(folders) {
  const split = folders.map(({ path }) => path.split("/"));
  const depth = split[0]?.findIndex((part, i) => split.some((other) => other[i] !== part)) ?? 0;
  rootFolder = (split[0] ?? []).slice(0, depth < 0 ? undefined : depth).join("/");
}

export const shortenFolder = (folder) =>
  folder.startsWith(`${rootFolder}/`) && rootFolder
    ? folder.slice(rootFolder.length + 1)
    : folder.slice(folder.lastIndexOf("/") + 1) || folder;

export const formatFolderName = (folder) => folder.slice(folder.lastIndexOf("/") + 1) || folder;

export const isRootFolder = (folder) => folder === rootFolder;
