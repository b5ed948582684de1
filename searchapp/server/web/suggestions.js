// Suggestions below the search field: recent questions, and folders and keywords of the library.

import { getFacets } from "./api.js";
import { NO_FILTERS, toggleValue } from "./filters.js";
import { changeFilters, getState } from "./navigation.js";
import { formatNumber } from "./texts.js";
import { $, createElement, createIcon, formatFolderName, shortenFolder } from "./views.js";

const MAX_RECENT = 30; // stored questions
const MAX_SHOWN = 4; // of each kind
const TYPING_PAUSE_MS = 120;
const KINDS = [["folder", "folders", "folder"], ["keyword", "keywords", "tag"]];

let chosen = -1; // option that the arrow keys have reached; -1: none
let options = []; // {element, use}
let typingTimer = 0;
let abort = new AbortController();
let submit = () => {};

function readRecent() {
  try {
    const stored = JSON.parse(localStorage.getItem("questions") ?? "[]");
    return Array.isArray(stored) ? stored.filter((text) => typeof text === "string") : [];
  } catch {
    return []; // the storage is disabled, or holds something else
  }
}

export function rememberQuestion(text) {
  if (!text) return;
  const others = readRecent().filter((other) => other !== text);
  try {
    localStorage.setItem("questions", JSON.stringify([text, ...others].slice(0, MAX_RECENT)));
  } catch {
    // Without storage, there are no recent questions.
  }
}

export function hideSuggestions() {
  clearTimeout(typingTimer);
  abort.abort();
  $("suggestions").hidden = true;
  $("words").setAttribute("aria-expanded", "false");
  choose(-1);
}

async function suggest() {
  const typed = $("words").value.trim();
  abort.abort();
  const { signal } = (abort = new AbortController());
  const isMatch = (text) => text.toLowerCase().includes(typed.toLowerCase()) && text !== typed;
  const recent = readRecent().filter(isMatch).slice(0, MAX_SHOWN);
  const facets = await getFacets(NO_FILTERS, signal, typed).catch(() => null);
  if (signal.aborted || document.activeElement !== $("words")) return;
  options = recent.map((text) => makeOption("recent", text, "", () => ask(text)));
  for (const [name, field, icon] of facets ? KINDS : []) {
    const free = facets[field].values.filter(([value]) => !getState()[name].includes(value));
    for (const [value, count] of free.slice(0, MAX_SHOWN)) {
      const text = name === "folder" ? formatFolderName(value) : value;
      const note = name === "folder" ? shortenFolder(value) : "";
      const shownNote = note === text ? "" : note;
      options.push(makeOption(icon, text, shownNote, () => narrow(name, value), count));
    }
  }
  $("suggestions").replaceChildren(...options.map(({ element }) => element));
  options.forEach(({ element }, i) => (element.id = `suggestion-${i}`));
  $("suggestions").hidden = options.length === 0;
  $("words").setAttribute("aria-expanded", String(options.length > 0));
  choose(-1);
}

function makeOption(icon, text, note, use, count = null) {
  const element = createElement(
    "li",
    {},
    createIcon(icon),
    createElement("bdi", { className: "suggestion", textContent: text }),
    createElement("bdi", { className: "suggestion-note", textContent: note }),
  );
  if (count !== null) {
    const number = formatNumber(count);
    element.append(createElement("span", { className: "count", textContent: number }));
  }
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", "false");
  element.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the field keeps the focus
    if (!event.button) use();
  });
  return { element, use };
}

function ask(text) {
  $("words").value = text;
  submit();
}

function narrow(name, value) {
  $("words").value = getState().text;
  hideSuggestions();
  changeFilters(toggleValue(getState(), name, value));
}

function choose(index) {
  options[chosen]?.element.setAttribute("aria-selected", "false");
  chosen = index;
  const element = options[index]?.element;
  element?.setAttribute("aria-selected", "true");
  element?.scrollIntoView({ block: "nearest" });
  if (element) $("words").setAttribute("aria-activedescendant", element.id);
  else $("words").removeAttribute("aria-activedescendant");
}

function useKey(event) {
  if (event.isComposing) return;
  const isHidden = $("suggestions").hidden;
  if (event.key === "Escape") hideSuggestions(); // also those that are still loaded
  if (isHidden) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && !event.altKey) {
    event.preventDefault();
    event.stopPropagation();
    // One step before the first option is the field itself.
    choose(((chosen + 1 + step + options.length + 1) % (options.length + 1)) - 1);
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    options[chosen].use();
  } else if (event.key === "Escape") {
    event.preventDefault();
  }
}

// submitQuestion: searches with the words in the field.
export function listenToSuggestions(submitQuestion) {
  submit = submitQuestion;
  const words = $("words");
  words.addEventListener("focus", suggest);
  words.addEventListener("click", () => $("suggestions").hidden && suggest());
  words.addEventListener("blur", hideSuggestions);
  words.addEventListener("keydown", useKey);
  words.addEventListener("input", () => {
    clearTimeout(typingTimer);
    typingTimer = setTimeout(suggest, TYPING_PAUSE_MS);
  });
}
