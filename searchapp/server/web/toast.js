// A short message over the large view, which disappears by itself.

import { $ } from "./views.js";

const SHOWN_MS = 4000;

let timer = 0;

export function showToast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(hideToast, SHOWN_MS);
}

export function hideToast() {
  clearTimeout(timer);
  $("toast").classList.remove("shown");
  $("toast").textContent = "";
}
