// Keys of the duplicates view: arrows move between files and groups, letters choose.

import { confirmChoices, findGroup, keepAll, keepOnly, listGroups } from "./duplicate_group.js";
import { $ } from "./views.js";

const listToggles = (element) => [...element.querySelectorAll(".toggle")];

function focusFile(from, step) {
  const toggles = listGroups().flatMap(listToggles);
  const next = toggles[toggles.indexOf(from.querySelector(".toggle")) + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function focusGroup(element) {
  if (!element) return;
  element.scrollIntoView({ block: "start" });
  element.querySelector(".toggle").focus({ preventScroll: true });
}

// loadMore: loads further groups.
export function listenToDuplicateKeys(loadMore) {
  async function focusNext(element) {
    if (!element.nextElementSibling) await loadMore();
    focusGroup(element.nextElementSibling);
  }
  $("duplicates").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const element = findGroup(event.target);
    const card = event.target.closest(".card") ?? element?.querySelector(".card");
    const act = element
      ? {
          ArrowRight: () => focusFile(card, 1),
          ArrowLeft: () => focusFile(card, -1),
          ArrowDown: () => focusNext(element),
          ArrowUp: () => focusGroup(element.previousElementSibling),
          k: () => keepOnly(card),
          a: () => keepAll(element),
          r: () => confirmChoices(element),
        }[event.key]
      : { ArrowDown: () => focusGroup(listGroups()[0]) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
