// Groups of the grid: by month, with a label for each day; and the section of a group.

import { text } from "./texts.js";
import { createElement, formatDate } from "./views.js";

const formatMonth = (month) => formatDate(`${month}-01T00:00:00`, { month: "long", year: "numeric" });
const formatDay = (day) =>
  formatDate(`${day}T00:00:00`, { weekday: "short", day: "numeric", month: "short" });

// days: [[day, number of pictures]], in the order of the pictures; day: 2023-06-17, or "".
// Return groups as layout.js describes them; key: 2023-06, or "" without a date.
export function groupByMonth(days) {
  const groups = [];
  let index = 0;
  for (const [day, count] of days) {
    const key = day.slice(0, 7);
    let group = groups.at(-1);
    if (group?.key !== key) {
      const title = key ? formatMonth(key) : text("no_date");
      group = { key, title, from: index, to: index, starts: new Map() };
      groups.push(group);
    }
    if (day) group.starts.set(index, formatDay(day));
    index += count;
    group.to = index;
  }
  return groups;
}

// Return the days of hits that are sorted by date, as groupByMonth takes them.
export function countDays(hits) {
  const days = [];
  for (const hit of hits) {
    const day = hit.date?.slice(0, 10) ?? "";
    if (days.at(-1)?.[0] === day) days.at(-1)[1] += 1;
    else days.push([day, 1]);
  }
  return days;
}

// Return the section of a group, and its list for the tiles: {element, list}.
// note: a text beside the title. button: returns a button for the end of the heading.
export function makeGroupElement({ title, note, button }) {
  const [element, list] = [createElement("section", { className: "group" }), createElement("ol")];
  if (title) {
    const heading = createElement("div", { className: button ? "heading line" : "heading" });
    heading.append(createElement("h2", { textContent: title }));
    if (note) heading.append(createElement("p", { textContent: note }));
    if (button) heading.append(button());
    element.append(heading);
    element.setAttribute("aria-label", title);
  }
  element.append(list);
  return { element, list };
}
