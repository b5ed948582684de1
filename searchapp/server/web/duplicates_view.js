// Duplicates: groups of files with the same picture. A person chooses which files stay; the library
// keeps the choices. The page moves no file: a script does, which the user downloads and runs.

import { getDuplicates, scriptUrl, startDuplicates } from "./api.js";
import { runJob, stopWaiting } from "./background_job.js";
import { countMoved, makeGroup, waitUntilSaved } from "./duplicate_group.js";
import { listenToDuplicateKeys } from "./duplicate_keys.js";
import { activeFilters, filterKey } from "./filters.js";
import { showProblem } from "./gallery.js";
import { changeState, getState, showAgain } from "./navigation.js";
import { drawWarnings, hideNotice, showNotice } from "./notices.js";
import { text } from "./texts.js";
import { $, createElement } from "./views.js";

let search = null; // {key, id, page, signal}: the search that is shown; page: its last answer
let nextPage = null; // promise of the next page while it is loaded

export const duplicatesView = { element: "duplicates", show, leave, listen };

const makeKey = (state) =>
  JSON.stringify([state.among, state.alike, state.reviewed, state.among.length ? "" : filterKey(state)]);

async function show(state, { again }) {
  [$("alike").checked, $("reviewed-too").checked] = [Boolean(state.alike), Boolean(state.reviewed)];
  const key = makeKey(state);
  if (search?.key === key && !again) return;
  clear();
  const started = (search = { key, id: null, page: null });
  try {
    const job = await runJob(() => startDuplicates(state, again === "anew"));
    if (search !== started) return;
    if (job.state === "canceled") {
      showNotice("empty", { title: text("canceled"), text: text("canceled_text"), actions: [[text("start_again"), showAgain]] });
      return;
    }
    started.id = job.id;
    await loadGroups(started, 0);
  } catch (error) {
    if (error.name !== "AbortError" && search === started) fail(error);
  }
}

function fail(error) {
  clear();
  showProblem(error);
}

async function loadGroups(shown, first) {
  const page = await getDuplicates(shown.id, getState(), first);
  if (search !== shown) return;
  shown.page = page;
  for (const group of page.groups) $("groups").append(makeGroup(group, drawStatus));
  $("more-groups").hidden = page.next === null;
  $("duplicates-bar").hidden = $("duplicates-help").hidden = false;
  drawStatus();
  drawWarnings(listLeftOut(page));
  if (!page.total) showNone(page);
}

// Load the next page; resolves when it is shown.
function loadMore() {
  if ($("more-groups").hidden || nextPage) return nextPage;
  const shown = search;
  nextPage = loadGroups(shown, shown.page.next)
    .catch((error) => search === shown && fail(error))
    .finally(() => (nextPage = null));
  return nextPage;
}

function drawStatus() {
  const { total, duplicates, duplicates_bytes: bytes, hidden } = search.page;
  const change = countMoved();
  const parts = [
    text("duplicates_found", duplicates + change.files, total, bytes + change.bytes),
    describeCompared(search.page),
    hidden ? text("reviewed_before", hidden) : "",
  ];
  $("status").textContent = total ? parts.filter(Boolean).join(" · ") : "";
  $("script").hidden = duplicates + change.files === 0;
}

// Return the number of selected pictures that were compared.
const countSelected = ({ failed, missing }) => getState().among.length - failed - missing;

function describeCompared(page) {
  const isSelection = getState().among.length > 0;
  return isSelection ? text("compared_with", countSelected(page), page.images) : text("compared", page.images);
}

// Say which pictures could not be compared.
function listLeftOut({ failed, failures, missing }) {
  const names = failures.map(({ name, reason }) => `${name} (${reason})`).join(", ");
  const isSelection = getState().among.length > 0;
  return [
    missing ? text(isSelection ? "files_missing" : "files_left_out", missing) : "",
    failed ? text("not_read", failed, names, failed > failures.length) : "",
  ].filter(Boolean);
}

function showNone(page) {
  const { hidden } = page;
  const state = getState();
  const isNothing = state.among.length ? countSelected(page) <= 0 : page.images === 0;
  const isFiltered = !state.among.length && activeFilters(state).length > 0 && !page.failed && !page.missing;
  const reason = isNothing ? (isFiltered ? text("no_matching_text") : "") : describeCompared(page);
  showNotice("empty", {
    title: text(isNothing ? "nothing_compared" : "no_duplicates"),
    text: hidden ? text("all_reviewed", hidden) : reason,
    actions: hidden ? [[text("show_reviewed"), () => changeState({ reviewed: 1 })]] : [],
  });
}

function clear() {
  search = null;
  hideNotice();
  drawWarnings([]);
  $("groups").replaceChildren();
  $("status").textContent = $("duplicates-note").textContent = "";
  $("more-groups").hidden = $("duplicates-bar").hidden = $("duplicates-help").hidden = true;
}

function leave() {
  stopWaiting();
  clear();
}

// The script has the choices that the library keeps.
async function downloadScript() {
  await waitUntilSaved();
  createElement("a", { href: scriptUrl(search.id, getState()), download: "" }).click();
  $("duplicates-note").textContent = text("script_saved");
}

function listen() {
  $("alike").addEventListener("change", () => changeState({ alike: $("alike").checked ? 1 : null }));
  $("reviewed-too").addEventListener("change", () =>
    changeState({ reviewed: $("reviewed-too").checked ? 1 : null }),
  );
  $("check-again").addEventListener("click", () => show(getState(), { again: "anew" }));
  $("script").addEventListener("click", downloadScript);
  $("more-groups").addEventListener("click", loadMore);
  listenToDuplicateKeys(loadMore);
}
