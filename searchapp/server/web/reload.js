// Keep the place in the timeline when the page is reloaded. The history cannot keep it: during a
// reload, Chromium ignores replaceState.

import { getPlace } from "./grid.js";

let place = null;

// Read the place of the page before it was reloaded, and save the place when this page is left.
export function listenToReload() {
  place = readPlace();
  addEventListener("pagehide", savePlace);
}

// Return {id, offset} once after a reload; otherwise null.
export function takeReloadedPlace() {
  const taken = place;
  place = null;
  return taken;
}

function savePlace() {
  try {
    sessionStorage.setItem("place", JSON.stringify({ url: location.href, place: getPlace() }));
  } catch {} // Storage is blocked or full.
}

function readPlace() {
  if (performance.getEntriesByType("navigation")[0]?.type === "navigate") return null;
  try {
    const stored = JSON.parse(sessionStorage.getItem("place"));
    return stored.url === location.href ? stored.place : null;
  } catch {
    return null;
  }
}
