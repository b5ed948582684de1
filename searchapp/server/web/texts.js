// Texts of the page in the language of the browser. The tables are texts_en.js and texts_de.js.

import { GERMAN } from "./texts_de.js";
import { ENGLISH } from "./texts_en.js";

export const TABLES = { en: ENGLISH, de: GERMAN };
const LOCALES = { en: "en-GB", de: "de-DE" }; // the forms of dates and numbers

export const LANGUAGE =
  navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in TABLES) ?? "en";
export const LOCALE = LOCALES[LANGUAGE];

// Return a text of the table. values: see the functions in the table.
export function text(key, ...values) {
  const entry = TABLES[LANGUAGE][key];
  return typeof entry === "function" ? entry(...values) : entry;
}

// Return a sentence of the server, which begins in lower case, with a capital letter. A file name or
// an address at its beginning stays as it is.
export const capitalize = (sentence) =>
  sentence.replace(/^[a-z]+(?=[ ,;]|: )/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

export const formatNumber = (number) => number.toLocaleString(LOCALE);

const ATTRIBUTES = { label: "aria-label", title: "title", placeholder: "placeholder" };

// Set the texts of index.html: data-text is the key of the content, data-label of the name for
// screen readers, data-title of the tooltip, data-placeholder of an empty field.
export function translatePage() {
  document.documentElement.lang = LANGUAGE;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of document.querySelectorAll(`[data-${name}]`)) {
      element.setAttribute(attribute, text(element.dataset[name]));
    }
  }
}
