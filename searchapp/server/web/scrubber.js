// The date scrubber at the side: years, months as dots, and a handle to drag. It is a slider with
// one step for each month.

import { text } from "./texts.js";
import { $, createElement } from "./views.js";

const LABEL_SPACE = 18; // minimum distance of two labels or dots, in CSS pixels
const DOT_SPACE = 7;
const END_MARGIN = 60; // CSS pixels: less than the height of the header

let months = []; // {key, title, top, count}: groups of the grid, newest first
let gridHeight = 1;
let trackHeight = 1;
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
  const isUseful = months.length > 1 && plan.height > innerHeight * 1.5;
  $("scrubber").hidden = !isUseful;
  trackHeight = $("scrubber-track").clientHeight;
  if (isUseful) drawMarks();
}

const getPosition = (top) => (top / gridHeight) * trackHeight;

function drawMarks() {
  const marks = [];
  let [lastLabel, lastDot, lastYear] = [-Infinity, -Infinity, null];
  for (const { key, top } of months) {
    const [y, year] = [getPosition(top), key.slice(0, 4)];
    const mark = (className, textContent) => {
      const element = createElement("span", { className, textContent });
      element.style.top = `${y}px`;
      marks.push(element);
    };
    if (year && year !== lastYear && y - lastLabel >= LABEL_SPACE) {
      mark("year", year);
      [lastLabel, lastDot] = [y, y + DOT_SPACE];
    } else if (y - lastDot >= DOT_SPACE && y - lastLabel >= LABEL_SPACE / 2 + 3) {
      mark("dot", "");
      lastDot = y;
    }
    lastYear = year;
  }
  $("scrubber-marks").replaceChildren(...marks);
  $("scrubber").setAttribute("aria-valuemax", months.length - 1);
}

const findMonth = (top) => Math.max(0, months.findLastIndex((month) => month.top <= top));

// Show the place of the viewport. top: of the visible part, in the coordinates of the grid.
export function moveHandle(top) {
  if ($("scrubber").hidden) return;
  // The last months cannot come to the top of the page: at its end, the last one counts.
  const isEnd = top + innerHeight - END_MARGIN >= gridHeight;
  const index = isEnd ? months.length - 1 : findMonth(Math.max(0, top) + 1);
  const { title, count } = months[index];
  $("scrubber").setAttribute("aria-valuenow", index);
  $("scrubber").setAttribute("aria-valuetext", text("month_count", title, count));
  const share = Math.min(1, Math.max(0, top / Math.max(1, gridHeight - innerHeight * 0.8)));
  const y = share * trackHeight;
  $("scrubber-handle").style.transform = `translateY(${y}px)`;
  $("scrubber-date").textContent = title;
}

let hideTimer = 0;

// Show the date beside the handle for a moment, as while scrolling.
export function flashDate() {
  $("scrubber").classList.add("active");
  clearTimeout(hideTimer);
  hideTimer = setTimeout(() => $("scrubber").classList.remove("active"), 1200);
}

function scrubTo(clientY) {
  const { top, height } = $("scrubber-track").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (clientY - top) / height));
  goTo(share * (gridHeight - innerHeight * 0.8));
}

function showHint(clientY) {
  const { top, height } = $("scrubber-track").getBoundingClientRect();
  const y = Math.min(height, Math.max(0, clientY - top));
  const month = months[findMonth((y / height) * (gridHeight - innerHeight * 0.8) + 1)];
  $("scrubber-hint").textContent = month?.title ?? "";
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
    scrubTo(event.clientY);
  });
  scrubber.addEventListener("pointermove", (event) => {
    showHint(event.clientY);
    if (scrubber.hasPointerCapture(event.pointerId)) scrubTo(event.clientY);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    scrubber.addEventListener(type, () => scrubber.classList.remove("dragging"));
  }
}
