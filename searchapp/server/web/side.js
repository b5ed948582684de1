// The panel beside the pictures: dates, lists of values, place. On small screens it is a drawer.

import { getFacets } from "./api.js";
import { drawDateBars, listenToDateBars, onDatesSelected } from "./date_bars.js";
import { drawFacets } from "./facets.js";
import { isArea, isCircle, isDate } from "./filter_values.js";
import { activeFilters, filterKey } from "./filters.js";
import { loadLibrary } from "./library_info.js";
import { changeFilters, getState } from "./navigation.js";
import { drawWarnings } from "./notices.js";
import { drawPlaceMap, listenToPlaceMap } from "./place_map.js";
import { hasQuery } from "./state.js";
import { text } from "./texts.js";
import { $, createElement } from "./views.js";

const TYPING_PAUSE_MS = 150;
const isNarrow = matchMedia("(max-width: 900px)");

let facets = null; // {key, ...answer of /api/facets}
let abort = new AbortController();
let typingTimer = 0;

export async function drawSide(state, again = false) {
  drawFields(state);
  const find = $("find").value.trim();
  const key = JSON.stringify([filterKey(state), find]);
  abort.abort();
  if (facets?.key !== key || again) {
    abort = new AbortController();
    try {
      const { signal } = abort;
      const [answer] = await Promise.all([getFacets(state, signal, find), loadLibrary()]);
      signal.throwIfAborted();
      facets = { ...answer, key };
    } catch {
      return; // the request for the pictures reports the same error
    }
  }
  if (!hasQuery(state)) drawWarnings(facets.warnings); // the answer of a question has its own
  drawLists(state, find);
  const { months } = facets;
  drawDateBars(months, state);
  drawPlaceMap(facets.places, state);
  $("taken-field").hidden = !state.taken && !months.some((month) => month.by_file);
  if (!$("years").childElementCount) fillYears(months);
}

const drawLists = (state, find = $("find").value.trim()) =>
  drawFacets(facets, state, Boolean(find), (change) =>
    Object.keys(change).length ? changeFilters(change) : drawLists(getState()),
  );

function drawFields(state) {
  for (const name of ["after", "before"]) $(name).value = state[name];
  $("near").value = state.near || state.area;
  $("taken").checked = state.taken;
  const count = activeFilters(state).length + (state.min === null ? 0 : 1);
  $("toggle-filters").classList.toggle("set", count > 0);
  $("toggle-filters").setAttribute("aria-label", count ? text("active_filters", count) : text("filters"));
}

function fillYears(months) {
  const years = new Set(months.map(({ month }) => month.slice(0, 4)).reverse());
  $("years").replaceChildren(...[...years].map((value) => createElement("option", { value })));
}

// On a small screen, the drawer covers the pictures: nothing behind it takes the focus.
function setOpen(isOpen) {
  document.body.classList.toggle("filtering", isOpen);
  document.body.classList.toggle("no-side", !isOpen && !isNarrow.matches);
  $("toggle-filters").setAttribute("aria-expanded", String(isOpen));
  const isDrawer = isOpen && isNarrow.matches;
  for (const element of [document.querySelector("header"), $("answers")]) element.inert = isDrawer;
  if (isDrawer) $("close-side").focus();
}

function closeDrawer() {
  setOpen(false);
  $("toggle-filters").focus();
}

function changePlace() {
  const value = $("near").value.replaceAll(" ", "");
  const isValid = !value || isCircle(value) || isArea(value);
  $("near").setAttribute("aria-invalid", String(!isValid));
  if (!isValid) return;
  changeFilters({ near: isCircle(value) ? value : "", area: isArea(value) ? value : "" });
}

function listenToDates() {
  for (const name of ["after", "before"]) {
    $(name).addEventListener("change", () => {
      const value = $(name).value.trim();
      const isValid = !value || isDate(value);
      $(name).setAttribute("aria-invalid", String(!isValid));
      if (isValid) changeFilters({ [name]: value });
    });
  }
  onDatesSelected((dates) => {
    // A second click on the only selected bar removes the filter.
    const { after, before } = getState();
    const isSame = dates.after === after && dates.before === before;
    changeFilters(isSame ? { after: "", before: "" } : dates);
  });
  $("all-years").addEventListener("click", () => {
    changeFilters({ after: "", before: "" });
    $("results").focus({ preventScroll: true }); // the button disappears
  });
  listenToDateBars();
}

export function listenToSide() {
  listenToDates();
  listenToPlaceMap((area) => changeFilters({ area, near: "" }));
  $("near").addEventListener("change", changePlace);
  $("taken").addEventListener("change", () => changeFilters({ taken: $("taken").checked }));
  $("find").addEventListener("input", () => {
    clearTimeout(typingTimer);
    typingTimer = setTimeout(() => drawSide(getState()), TYPING_PAUSE_MS);
  });
  $("toggle-filters").addEventListener("click", () =>
    setOpen($("toggle-filters").getAttribute("aria-expanded") !== "true"),
  );
  $("close-side").addEventListener("click", closeDrawer);
  $("side").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isNarrow.matches && !event.defaultPrevented) closeDrawer();
  });
  $("backdrop").addEventListener("click", closeDrawer);
  isNarrow.addEventListener("change", () => setOpen(!isNarrow.matches));
  setOpen(!isNarrow.matches);
}
