// A time line: a bar for each year or month. A click takes one, a drag several, and so do the keys.

import { $, make, plural } from "./views.js";

const YEARS_AS_MONTHS = 3; // so many years are shown by their months
const MOST_YEARS = 80; // with more between the first and the last, years without pictures are left out
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

let choose = () => {};
let bars = []; // {name, images, byFile}: the name is 2023 or 2023-06
let from = -1; // the bars that are being chosen
let to = -1;
let dragging = false;
let dates = { after: "", before: "" }; // that are chosen

export function onTimeline(act) {
  choose = act;
}

export function drawTimeline(months, { after, before }) {
  dates = { after, before };
  const held = $("bars").contains(document.activeElement)
    ? document.activeElement.dataset.name
    : null;
  const year = after && after.slice(0, 4) === before.slice(0, 4) ? after.slice(0, 4) : null;
  bars = year ? monthsOf(year, year, months) : overview(months);
  $("timeline").hidden = months.length === 0 || (!year && bars.length < 2);
  const top = Math.max(1, ...bars.map((bar) => bar.images));
  $("bars").replaceChildren(...bars.map((bar, i) => draw(bar, i, top)));
  $("bars").classList.toggle("few", bars.length <= 16);
  label();
  paint(...chosen());
  const items = [...$("bars").children];
  const current = items.find((item) => item.dataset.name === held);
  (current ?? items.find((item) => item.ariaPressed === "true") ?? items[0])?.setAttribute("tabindex", "0");
  if (held) (current ?? items[0])?.focus();
  $("all-years").hidden = !(after || before);
  $("timeline-title").textContent = year ?? (after || before ? "Chosen dates" : "All dates");
  const byFile = bars.some((bar) => bar.byFile);
  $("timeline-note").hidden = !byFile;
}

function overview(months) {
  const first = Number(months[0]?.month.slice(0, 4));
  const last = Number(months.at(-1)?.month.slice(0, 4));
  if (last - first < YEARS_AS_MONTHS) return trimmed(monthsOf(first, last, months));
  const years = new Map();
  if (last - first <= MOST_YEARS) {
    for (let year = first; year <= last; year += 1) years.set(name(year), [0, 0]);
  }
  for (const { month, images, by_file } of months) {
    const [all, files] = years.get(month.slice(0, 4)) ?? [0, 0];
    years.set(month.slice(0, 4), [all + images, files + by_file]);
  }
  return [...years].map(([year, [images, byFile]]) => ({ name: year, images, byFile }));
}

const name = (year) => String(year).padStart(4, "0");

function monthsOf(first, last, months) {
  const known = new Map(months.map((each) => [each.month, each]));
  const all = [];
  for (let year = Number(first); year <= Number(last); year += 1) {
    for (let month = 1; month <= 12; month += 1) {
      const key = `${name(year)}-${String(month).padStart(2, "0")}`;
      const { images = 0, by_file: byFile = 0 } = known.get(key) ?? {};
      all.push({ name: key, images, byFile });
    }
  }
  return all;
}

function trimmed(all) {
  const last = all.findLastIndex((bar) => bar.images);
  return all.slice(Math.max(0, all.findIndex((bar) => bar.images)), last + 1);
}

function spoken(bar) {
  const [year, month] = bar.name.split("-");
  return month ? `${MONTHS[month - 1]} ${year}` : year;
}

function draw(bar, i, top) {
  const by = bar.byFile ? `, ${bar.byFile.toLocaleString("en")} by the file's date` : "";
  const said = `${spoken(bar)}: ${plural(bar.images, "picture")}${by}`;
  const item = make("button", { type: "button", className: "bar", title: said, tabIndex: -1 });
  item.setAttribute("aria-label", said);
  item.dataset.name = bar.name;
  item.dataset.index = i;
  // The root makes a month of three pictures visible beside one of a thousand.
  item.style.setProperty("--height", bar.images ? Math.max(0.06, Math.sqrt(bar.images / top)) : 0);
  item.style.setProperty("--taken", bar.images ? 1 - bar.byFile / bar.images : 0);
  item.append(make("span", { className: "fill" }), make("span", { className: "tick" }));
  return item;
}

function label() {
  const byMonth = bars[0]?.name.length > 4;
  const oneYear = byMonth && bars[0].name.slice(0, 4) === bars.at(-1).name.slice(0, 4);
  const step = byMonth ? 1 : Math.max(1, Math.ceil(bars.length / 12));
  [...$("bars").children].forEach((item, i) => {
    const [year, month] = bars[i].name.split("-");
    const text = !byMonth
      ? (bars.length - 1 - i) % step === 0 && year
      : oneYear
        ? MONTHS[month - 1]
        : (month === "01" || i === 0) && year;
    item.querySelector(".tick").textContent = text || "";
  });
}

function chosen() {
  const { after, before } = dates;
  if (!after && !before) return [-1, -1];
  const within = (bar) =>
    (!after || bar.name >= after.slice(0, bar.name.length)) &&
    (!before || bar.name <= before.slice(0, bar.name.length));
  return [bars.findIndex(within), bars.findLastIndex(within)];
}

function paint(a, b) {
  const [low, high] = a < b ? [a, b] : [b, a];
  [...$("bars").children].forEach((item, i) => {
    item.setAttribute("aria-pressed", String(low >= 0 && i >= low && i <= high));
  });
  $("bars").classList.toggle("chosen", low >= 0);
}

function leave() {
  from = to = -1;
  dragging = false;
  paint(...chosen());
}

function take() {
  const [low, high] = from < to ? [from, to] : [to, from];
  from = to = -1;
  dragging = false;
  if (low >= 0) choose({ after: bars[low].name, before: bars[high].name });
}

const indexOf = (target) => Number(target?.closest?.(".bar")?.dataset.index ?? -1);

export function listenToTimeline() {
  const line = $("bars");
  line.addEventListener("pointerdown", (event) => {
    if (event.button || indexOf(event.target) < 0) return;
    from = to = indexOf(event.target);
    dragging = true;
    paint(from, to);
  });
  line.addEventListener("pointermove", (event) => {
    const over = indexOf(document.elementFromPoint(event.clientX, event.clientY));
    if (!dragging || over < 0 || over === to) return;
    to = over;
    paint(from, to);
  });
  addEventListener("pointerup", () => dragging && take());
  addEventListener("pointercancel", () => dragging && leave());
  line.addEventListener("click", (event) => {
    // By a pointer it is done already; by a key or a screen reader it begins here.
    if (event.detail || indexOf(event.target) < 0) return;
    if (to < 0) from = to = indexOf(event.target);
    take();
  });
  line.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape" && from >= 0) leave();
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const at = indexOf(event.target);
    const next = Math.min(bars.length - 1, Math.max(0, at + by));
    if (event.shiftKey) {
      [from, to] = [from < 0 ? at : from, next];
      paint(from, to);
    } else from = to = -1;
    for (const item of line.children) item.tabIndex = -1;
    line.children[next].tabIndex = 0;
    line.children[next].focus();
  });
}
