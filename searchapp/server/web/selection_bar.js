// The bar with the actions for the selected pictures.

import { Problem, checkZip, getPictures, zipUrl } from "./api.js";
import { addExamples } from "./examples.js";
import { changeState, getState } from "./navigation.js";
import { clearSelection, getSelected, onSelection } from "./selection.js";
import { NO_VIEW } from "./state.js";
import { text } from "./texts.js";
import { $, createElement } from "./views.js";

const MAX_PICTURES = 1000; // of a zip, and of a search for duplicates
const BATCH_SIZE = 200; // pictures in one request

function draw(count) {
  const bar = $("selection");
  const hadFocus = bar.contains(document.activeElement);
  bar.hidden = count === 0;
  if (count === 0 && hadFocus) $("results").focus({ preventScroll: true });
  $("selection-count").textContent = count ? text("selected_count", count) : "";
  $("selection-note").textContent = "";
}

function findLikeThese(isLiked) {
  const change = addExamples(getState(), getSelected(), isLiked);
  clearSelection();
  changeState({ ...change, by: "", min: null, rest: null, open: null });
  scrollTo({ top: 0, behavior: "instant" });
  $("results").focus({ preventScroll: true });
}

function checkForDuplicates() {
  const ids = getSelected();
  if (ids.length > MAX_PICTURES) throw new Problem(text("duplicates_limit", MAX_PICTURES));
  changeState({ ...NO_VIEW, view: "duplicates", among: ids, open: null });
  $("duplicates").focus({ preventScroll: true });
}

// Return the pictures of the ids that have a file; throw a Problem if none has one.
async function loadExisting(ids) {
  const pictures = [];
  for (let start = 0; start < ids.length; start += BATCH_SIZE) {
    pictures.push(...(await getPictures(ids.slice(start, start + BATCH_SIZE))));
  }
  if (!pictures.length) throw new Problem(text("files_missing", ids.length));
  return pictures;
}

async function copyPaths() {
  const ids = getSelected();
  const pictures = await loadExisting(ids); // if it throws, the clipboard stays
  await writeToClipboard(`${pictures.map(({ path }) => path).join("\n")}\n`);
  const missing = ids.length - pictures.length;
  return [text("paths_copied", pictures.length), missing ? text("files_missing", missing) : ""].join(" ").trim();
}

async function writeToClipboard(content) {
  try {
    await navigator.clipboard.writeText(content);
  } catch {
    // The clipboard API needs TLS or localhost.
    const area = createElement("textarea", { value: content, className: "visually-hidden" });
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    if (!isCopied) throw new Problem(text("clipboard_refused"));
  }
}

// A link saves the zip, so that the browser writes it to the disk while it arrives.
async function downloadZip() {
  const ids = getSelected();
  if (ids.length > MAX_PICTURES) throw new Problem(text("zip_limit", MAX_PICTURES));
  const pictures = await loadExisting(ids);
  await checkZip(ids);
  createElement("a", { href: zipUrl(ids), download: "" }).click();
  const missing = ids.length - pictures.length;
  return [text("zip_started", pictures.length), missing ? text("zip_missing", missing) : ""].join(" ").trim();
}

// Run an action of the bar. It returns a message, or throws a Problem with one.
async function run(action) {
  $("selection-note").textContent = "";
  try {
    $("selection-note").textContent = (await action()) ?? "";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    $("selection-note").textContent = error.message;
  }
}

export function listenToSelectionBar() {
  onSelection(draw);
  const actions = {
    "select-like": () => findLikeThese(true),
    "select-unlike": () => findLikeThese(false),
    "select-duplicates": checkForDuplicates,
    "select-zip": downloadZip,
    "select-paths": copyPaths,
    "select-none": clearSelection,
  };
  for (const [id, action] of Object.entries(actions)) {
    $(id).addEventListener("click", () => run(action));
  }
}
