// The date scrubber at the side: years, months as dots, and a handle to drag. It is a slider with
// one step for each month.

import { text } from "./texts.js";
import { $, createElement } from "./views.js";

const LABEL_SPACE = 18; // minimum distance of two labels or dots, in CSS pixels
const DOT_SPACE = 7;
const LABEL_REACH = 6; // half the height of a label
const END_MARGIN = 60; // CSS pixels: less than the height of the header

let months = []; // {key, title, top, count}: groups of the grid, newest first
let gridHeight = 1;
let scrollHeight = 1; // the end of the scale scrolls this far down the grid
let trackHeight = 1;
let marks = []; // {label, y, top}: a year, or a dot without a label; y: on the track
let goTo = () => {};

// Call callback(top) when the user chooses a place; top: in the coordinates of the grid.
export function onScrub(callback) {
  goTo = callback;
}

// Show the groups of a grid by month; a grid with another order has no scrubber.
export function drawScrubber(model, plan) {
  months = model.isByMonth
    ? model.groups
        .map((group, i) => ({ ...group, top: plan.groups[i].top, count: group.to - group.from }))
        .filter(({ key }) => key !== undefined)
    : [];
  gridHeight = Math.max(1, plan.height);
  scrollHeight = Math.max(1, gridHeight - innerHeight * 0.8);
  const isUseful = months.length > 1 && plan.height > innerHeight * 1.5;
  $("scrubber").hidden = !isUseful;
  trackHeight = $("scrubber-track").clientHeight;
  if (isUseful) drawMarks();
}

// Return the place on the track that scrolls to a top; those of the last screen are at its end.
const getPosition = (top) => Math.min(1, Math.max(0, top / scrollHeight)) * trackHeight;

function drawMarks() {
  marks = [];
  let [lastLabel, lastDot, lastYear] = [-Infinity, -Infinity, null];
  for (const { key, top } of months) {
    const [y, year] = [getPosition(top), key.slice(0, 4)];
    if (year && year !== lastYear && y - lastLabel >= LABEL_SPACE) {
      marks.push({ label: year, y, top });
      [lastLabel, lastDot] = [y, y + DOT_SPACE];
    } else if (y - lastDot >= DOT_SPACE && y - lastLabel >= LABEL_SPACE / 2 + 3) {
      marks.push({ label: "", y, top });
      lastDot = y;
    }
    lastYear = year;
  }
  markLastYear();
  $("scrubber-marks").replaceChildren(...marks.map(makeMark));
  $("scrubber").setAttribute("aria-valuemax", months.length - 1);
}

// Label the last year, too: earlier marks make room for it.
function markLastYear() {
  const { key, top } = months.findLast((month) => month.key) ?? months[0];
  const [y, year] = [getPosition(top), key.slice(0, 4)];
  if (!year || marks.some(({ label }) => label === year)) return;
  marks = marks.filter((mark, i) => i === 0 || mark.y <= y - LABEL_SPACE);
  marks.push({ label: year, y, top });
}

function makeMark({ label, y }) {
  const element = createElement("span", { className: label ? "year" : "dot", textContent: label });
  element.style.top = `${y}px`;
  return element;
}

const findMonth = (top) => Math.max(0, months.findLastIndex((month) => month.top <= top));

// Return the number of the month at the top of the visible part.
function findShownMonth(top) {
  // The last months cannot come to the top of the page: at its end, the last one counts.
  const isEnd = top + innerHeight - END_MARGIN >= gridHeight;
  return isEnd ? months.length - 1 : findMonth(Math.max(0, top) + 1);
}

// Show the place of the viewport. top: of the visible part, in the coordinates of the grid.
export function moveHandle(top) {
  if ($("scrubber").hidden) return;
  const index = findShownMonth(top);
  const { title, count } = months[index];
  $("scrubber").setAttribute("aria-valuenow", index);
  $("scrubber").setAttribute("aria-valuetext", text("month_count", title, count));
  $("scrubber-handle").style.transform = `translateY(${getPosition(top)}px)`;
  $("scrubber-date").textContent = title;
}

let hideTimer = 0;

// Show the date beside the handle for a moment, as while scrolling.
export function flashDate() {
  $("scrubber").classList.add("active");
  clearTimeout(hideTimer);
  hideTimer = setTimeout(() => $("scrubber").classList.remove("active"), 1200);
}

// Return {y, top}: a place on the track, and where it is in the grid. A pixel of the track can be a
// screen of the grid, so a label stands for the first month of its year, if snaps is true.
function findPlace(clientY, snaps) {
  const { top, height } = $("scrubber-track").getBoundingClientRect();
  const y = Math.min(height, Math.max(0, clientY - top));
  const near = marks.find((mark) => mark.label && Math.abs(mark.y - y) <= LABEL_REACH);
  return { y, top: snaps && near ? near.top : (y / Math.max(1, height)) * scrollHeight };
}

function showHint(clientY) {
  const { y, top } = findPlace(clientY, true);
  $("scrubber-hint").textContent = months[findShownMonth(top)]?.title ?? "";
  $("scrubber-hint").style.transform = `translateY(${y}px)`;
}

function moveByKey(event) {
  const now = Number($("scrubber").getAttribute("aria-valuenow"));
  const year = months[now].key.slice(0, 4);
  // Months with few pictures lie side by side, and the last of them counts.
  const before = months.findLastIndex((month) => month.top < months[now].top);
  const next = {
    ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: before, ArrowLeft: before,
    Home: 0, End: months.length - 1,
    PageDown: months.findIndex((month, i) => i > now && month.key.slice(0, 4) !== year),
    PageUp: months.findIndex(
      ({ key }) => key.slice(0, 4) === (months.findLast(
        (month, i) => i < now && month.key.slice(0, 4) !== year)?.key.slice(0, 4) ?? year),
    ),
  }[event.key];
  if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const isPastEnd = next === -1 && event.key === "PageDown";
  const index = isPastEnd ? months.length - 1 : Math.min(months.length - 1, Math.max(0, next));
  goTo(months[index].top);
}

export function listenToScrubber() {
  const scrubber = $("scrubber");
  scrubber.addEventListener("keydown", moveByKey);
  scrubber.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    scrubber.focus({ preventScroll: true });
    scrubber.setPointerCapture(event.pointerId);
    scrubber.classList.add("dragging");
    goTo(findPlace(event.clientY, true).top);
  });
  scrubber.addEventListener("pointermove", (event) => {
    showHint(event.clientY);
    if (scrubber.hasPointerCapture(event.pointerId)) goTo(findPlace(event.clientY, false).top);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    scrubber.addEventListener(type, () => scrubber.classList.remove("dragging"));
  }
}
