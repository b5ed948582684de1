// A short message over the pictures, or over the large view, which disappears by itself.

import { $ } from "./views.js";

const SHOWN_MS = 6000;

let timer = 0;
let shown = null; // the element of the message

export function showToast(text) {
  hideToast();
  shown = $($("large").open ? "toast" : "page-toast"); // the open dialog hides what is outside it
  shown.textContent = text;
  shown.classList.add("shown");
  timer = setTimeout(hideToast, SHOWN_MS);
}

function hideToast() {
  clearTimeout(timer);
  if (!shown) return;
  shown.classList.remove("shown");
  shown.textContent = "";
  shown = null;
}

// The large view shows another picture, or closes. A message over the page stays.
export function hideLargeToast() {
  if (shown === $("toast")) hideToast();
}
