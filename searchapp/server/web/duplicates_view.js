// Duplicates: groups of files with the same picture. A person chooses which files stay; the library
// keeps the choices. The page moves no file: a script does, which the user downloads and runs.

import { getDuplicates, scriptUrl, startDuplicates } from "./api.js";
import { runJob, stopWaiting } from "./background_job.js";
import { countMoved, makeGroup, waitUntilSaved } from "./duplicate_group.js";
import { listenToDuplicateKeys } from "./duplicate_keys.js";
import { filterKey } from "./filters.js";
import { showProblem } from "./gallery.js";
import { changeState, getState, showAgain } from "./navigation.js";
import { hideNotice, showNotice } from "./notices.js";
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
  const { total, duplicates, duplicates_bytes: bytes, images, hidden } = search.page;
  const change = countMoved();
  const parts = [
    text("duplicates_found", duplicates + change.files, total, bytes + change.bytes),
    text("compared", images),
    hidden ? text("reviewed_before", hidden) : "",
  ];
  $("status").textContent = total ? parts.filter(Boolean).join(" · ") : "";
  $("script").hidden = duplicates + change.files === 0;
}

function showNone({ hidden, images }) {
  showNotice("empty", {
    title: text("no_duplicates"),
    text: hidden ? text("all_reviewed", hidden) : text("compared", images),
    actions: hidden ? [[text("show_reviewed"), () => changeState({ reviewed: 1 })]] : [],
  });
}

function clear() {
  search = null;
  hideNotice();
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
