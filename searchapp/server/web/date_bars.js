// Date bars: a bar for each year or month. The user selects bars by click, drag, or keys.

import { LOCALE, text } from "./texts.js";
import { $, createElement } from "./views.js";

const MAX_YEARS_BY_MONTH = 3; // a longer range has bars for years instead of months
const MAX_YEAR_BARS = 80; // a longer range has no bars for years without pictures
const MONTHS = Array.from({ length: 12 }, (_, month) =>
  new Date(2000, month).toLocaleDateString(LOCALE, { month: "short" }),
);

let changeDates = () => {};
let bars = []; // {name, images, byFile}; the name is 2023 or 2023-06
let selectionStart = -1; // index of the first and last bar while the user selects; -1: none
let selectionEnd = -1;
let isDragging = false;
let dates = { after: "", before: "" }; // the current filter

// Call callback({after, before}) when the user has selected bars.
export function onDatesSelected(callback) {
  changeDates = callback;
}

export function drawDateBars(months, { after, before }) {
  dates = { after, before };
  const focusedName = $("bars").contains(document.activeElement)
    ? document.activeElement.dataset.name
    : null;
  const year = after && after.slice(0, 4) === before.slice(0, 4) ? after.slice(0, 4) : null;
  bars = year ? makeMonthBars(year, year, months) : makeOverviewBars(months);
  $("dates").hidden = months.length === 0 || (!year && bars.length < 2);
  const maxImages = Math.max(1, ...bars.map((bar) => bar.images));
  $("bars").replaceChildren(...bars.map((bar, i) => drawBar(bar, i, maxImages)));
  $("bars").classList.toggle("few", bars.length <= 16);
  drawLabels();
  markBars(...findFilteredRange());
  const items = [...$("bars").children];
  const focused = items.find((item) => item.dataset.name === focusedName);
  const tabStop = focused ?? items.find((item) => item.ariaPressed === "true") ?? items[0];
  tabStop?.setAttribute("tabindex", "0");
  if (focusedName) (focused ?? items[0])?.focus();
  $("all-years").hidden = !(after || before);
  $("dates-title").textContent = year ?? text(after || before ? "chosen_dates" : "all_dates");
  $("dates-note").hidden = !bars.some((bar) => bar.byFile);
}

// Return bars for all months, or for all years if the range is long.
function makeOverviewBars(months) {
  const first = Number(months[0]?.month.slice(0, 4));
  const last = Number(months.at(-1)?.month.slice(0, 4));
  if (last - first < MAX_YEARS_BY_MONTH) return trimEmptyBars(makeMonthBars(first, last, months));
  const years = new Map();
  if (last - first <= MAX_YEAR_BARS) {
    for (let year = first; year <= last; year += 1) years.set(formatYear(year), [0, 0]);
  }
  for (const { month, images, by_file } of months) {
    const [yearImages, yearByFile] = years.get(month.slice(0, 4)) ?? [0, 0];
    years.set(month.slice(0, 4), [yearImages + images, yearByFile + by_file]);
  }
  return [...years].map(([year, [images, byFile]]) => ({ name: year, images, byFile }));
}

const formatYear = (year) => String(year).padStart(4, "0");

function makeMonthBars(firstYear, lastYear, months) {
  const counts = new Map(months.map((count) => [count.month, count]));
  const monthBars = [];
  for (let year = Number(firstYear); year <= Number(lastYear); year += 1) {
    for (let month = 1; month <= 12; month += 1) {
      const name = `${formatYear(year)}-${String(month).padStart(2, "0")}`;
      const { images = 0, by_file: byFile = 0 } = counts.get(name) ?? {};
      monthBars.push({ name, images, byFile });
    }
  }
  return monthBars;
}

// Remove the bars before the first and after the last picture.
function trimEmptyBars(allBars) {
  const last = allBars.findLastIndex((bar) => bar.images);
  return allBars.slice(Math.max(0, allBars.findIndex((bar) => bar.images)), last + 1);
}

function formatBarName(bar) {
  const [year, month] = bar.name.split("-");
  return month ? `${MONTHS[month - 1]} ${year}` : year;
}

function drawBar(bar, i, maxImages) {
  const title = text("bar", formatBarName(bar), bar.images, bar.byFile);
  const item = createElement("button", { type: "button", className: "bar", title, tabIndex: -1 });
  item.setAttribute("aria-label", title);
  item.dataset.name = bar.name;
  item.dataset.index = i;
  // By the square root, a month with 3 pictures is visible next to a month with 1000.
  const height = bar.images ? Math.max(0.06, Math.sqrt(bar.images / maxImages)) : 0;
  item.style.setProperty("--height", height);
  item.style.setProperty("--taken", bar.images ? 1 - bar.byFile / bar.images : 0);
  item.append(
    createElement("span", { className: "fill" }),
    createElement("span", { className: "tick" }),
  );
  return item;
}

function drawLabels() {
  const isByMonth = bars[0]?.name.length > 4;
  const isOneYear = isByMonth && bars[0].name.slice(0, 4) === bars.at(-1).name.slice(0, 4);
  const step = isByMonth ? 1 : Math.max(1, Math.ceil(bars.length / 5));
  [...$("bars").children].forEach((item, i) => {
    const [year, month] = bars[i].name.split("-");
    const label = !isByMonth
      ? (bars.length - 1 - i) % step === 0 && year
      : isOneYear
        ? i % 2 === 0 && MONTHS[month - 1] // twelve names would touch each other
        : (month === "01" || i === 0) && year;
    item.querySelector(".tick").textContent = label || "";
  });
}

// Return the indexes of the first and last bar that the date filter includes; -1: no filter.
function findFilteredRange() {
  const { after, before } = dates;
  if (!after && !before) return [-1, -1];
  const isIncluded = (bar) =>
    (!after || bar.name >= after.slice(0, bar.name.length)) &&
    (!before || bar.name <= before.slice(0, bar.name.length));
  return [bars.findIndex(isIncluded), bars.findLastIndex(isIncluded)];
}

function markBars(a, b) {
  const [low, high] = a < b ? [a, b] : [b, a];
  [...$("bars").children].forEach((item, i) => {
    item.setAttribute("aria-pressed", String(low >= 0 && i >= low && i <= high));
  });
  $("bars").classList.toggle("chosen", low >= 0);
}

function cancelSelection() {
  selectionStart = selectionEnd = -1;
  isDragging = false;
  markBars(...findFilteredRange());
}

function applySelection() {
  const [low, high] =
    selectionStart < selectionEnd ? [selectionStart, selectionEnd] : [selectionEnd, selectionStart];
  selectionStart = selectionEnd = -1;
  isDragging = false;
  if (low >= 0) changeDates({ after: bars[low].name, before: bars[high].name });
}

const findBarIndex = (target) => Number(target?.closest?.(".bar")?.dataset.index ?? -1);

export function listenToDateBars() {
  listenToPointer();
  $("bars").addEventListener("keydown", moveByKey);
}

function listenToPointer() {
  const container = $("bars");
  container.addEventListener("pointerdown", (event) => {
    if (event.button || findBarIndex(event.target) < 0) return;
    selectionStart = selectionEnd = findBarIndex(event.target);
    isDragging = true;
    markBars(selectionStart, selectionEnd);
  });
  container.addEventListener("pointermove", (event) => {
    const index = findBarIndex(document.elementFromPoint(event.clientX, event.clientY));
    if (!isDragging || index < 0 || index === selectionEnd) return;
    selectionEnd = index;
    markBars(selectionStart, selectionEnd);
  });
  addEventListener("pointerup", () => isDragging && applySelection());
  addEventListener("pointercancel", () => isDragging && cancelSelection());
  container.addEventListener("click", (event) => {
    // pointerup has handled clicks by pointer. Clicks by key or screen reader have detail 0.
    if (event.detail || findBarIndex(event.target) < 0) return;
    if (selectionEnd < 0) selectionStart = selectionEnd = findBarIndex(event.target);
    applySelection();
  });
}

function moveByKey(event) {
  const offset = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (event.key === "Escape" && selectionStart >= 0) cancelSelection();
  if (!offset || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const index = findBarIndex(event.target);
  const next = Math.min(bars.length - 1, Math.max(0, index + offset));
  if (event.shiftKey) {
    [selectionStart, selectionEnd] = [selectionStart < 0 ? index : selectionStart, next];
    markBars(selectionStart, selectionEnd);
  } else selectionStart = selectionEnd = -1;
  const items = $("bars").children;
  for (const item of items) item.tabIndex = -1;
  items[next].tabIndex = 0;
  items[next].focus();
}
