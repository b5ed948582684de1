// The groups of the grid that are in the document: a section with a heading and a list of tiles.

import { makeGroupElement } from "./groups.js";
import { $ } from "./views.js";

const shown = new Map(); // number of a group -> {element, list}

// Draw the groups between two heights of the grid, and those with rows in the document.
// withRows: numbers of the groups that have such rows.
export function drawSections(model, plan, from, to, withRows) {
  plan.groups.forEach(({ top, height }, number) => {
    const isVisible = withRows.has(number) || (height && top < to && top + height > from);
    if (isVisible) getSection(model, plan, number);
    else if (shown.has(number)) remove(number);
  });
}

// Get or create the section of a group: {element, list}.
export function getSection(model, plan, number) {
  if (shown.has(number)) return shown.get(number);
  const { element, list } = makeGroupElement(model.groups[number]);
  place(element, plan.groups[number]);
  const following = [...shown.keys()].filter((other) => other > number).sort((a, b) => a - b);
  $("results").insertBefore(element, shown.get(following[0])?.element ?? null);
  shown.set(number, { element, list });
  return shown.get(number);
}

// Remove the groups that differ between two models, move the others, and return the removed numbers.
// A button that is replaced between press and release gets no click, so equal headings stay.
export function keepSections(oldModel, model, plan) {
  const removed = new Set();
  for (const [number, { element }] of [...shown]) {
    const [group, old] = [model.groups[number], oldModel.groups[number]];
    if (group?.title === old.title && group?.isOpen === old.isOpen) {
      place(element, plan.groups[number]);
      if (group.note) element.querySelector(".heading p").textContent = group.note;
    } else {
      removed.add(number);
      remove(number);
    }
  }
  return removed;
}

export function removeSections() {
  for (const number of [...shown.keys()]) remove(number);
}

function place({ style }, { top, left, height }) {
  [style.top, style.left, style.height] = [`${top}px`, `${left}px`, `${height}px`];
}

function remove(number) {
  shown.get(number).element.remove();
  shown.delete(number);
}
