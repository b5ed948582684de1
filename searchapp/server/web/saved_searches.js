// The saved searches beside the pictures: a list that opens, renames and removes them, and a button
// that saves the question and the filters under a name.

import { RERANKED_HITS, listSaved, removeSaved, renameSaved, saveSearch } from "./api.js";
import { exampleFields } from "./examples.js";
import { NO_FILTERS, activeFilters, filterFields } from "./filters.js";
import { changeState, getState } from "./navigation.js";
import { EMPTY_STATE, hasQuery, resultsKey } from "./state.js";
import { text } from "./texts.js";
import { $, createElement, createIcon } from "./views.js";

const MAX_NAME_LENGTH = 100;

let searches = [];
let editedId = null; // of the saved search whose name is edited; 0: a new one
let doomedId = null; // of the saved search that is removed if the user confirms it

// Return the state that shows a saved search. The page has no fields for some questions and
// options: these are run by their name.
export function makeSavedState({ name, terms, options }) {
  const state = { like: [], unlike: [] };
  for (const { text: words, image, image_id: id, image_key: key, weight, region, is_liked } of terms) {
    const hasQuestion = state.text || state.similar;
    if (image || (key && !id) || weight !== 1) return { ...EMPTY_STATE, saved: name };
    if (is_liked !== null) state[is_liked ? "like" : "unlike"].push(id);
    else if (hasQuestion) return { ...EMPTY_STATE, saved: name };
    else Object.assign(state, { text: words ?? "", similar: id, region: region ?? "" });
  }
  for (const [option, value] of Object.entries(options)) {
    if (option === "count") continue; // the page loads as many as it shows
    if (option in NO_FILTERS) {
      state[option] = Array.isArray(NO_FILTERS[option]) ? [value].flat() : value;
    } else if (option === "rerank" && value === RERANKED_HITS) {
      state.sort = "rerank";
    } else if (option === "by" || option === "sort") {
      state[option] = value;
    } else {
      return { ...EMPTY_STATE, saved: name };
    }
  }
  return { ...EMPTY_STATE, ...state };
}

function makeFields(state, name) {
  const { text: words, similar, region, by, sort } = state;
  const term = {
    ...(words && { text: words }), ...(similar && { image_id: similar }), ...(region && { region }),
  };
  const terms = words || similar ? [term] : [];
  const options = { ...filterFields(state), ...(by && { by }), ...sortFields(sort) };
  return { name, terms, ...exampleFields(state), ...options };
}

const sortFields = (sort) =>
  sort === "rerank" ? { rerank: RERANKED_HITS } : sort ? { sort } : {};

const isShown = (search, state) => resultsKey(makeSavedState(search)) === resultsKey(state);

// Mark the saved search that is shown, and show the button if the search can be saved. The rows stay,
// with their focus and a name that is being typed.
export function drawSaved(state) {
  const hasSomething = hasQuery(state) || activeFilters(state).length > 0;
  const isSaved = searches.some((search) => isShown(search, state));
  $("save-search").hidden = editedId === 0 || !hasSomething || isSaved || Boolean(state.saved);
  $("save-search").disabled = Boolean(state.picture);
  $("save-search").title = state.picture ? text("picture_not_saved") : "";
  for (const [position, search] of searches.entries()) {
    const name = $("saved-list").children[position]?.querySelector(".saved-name");
    name?.setAttribute("aria-pressed", String(isShown(search, state)));
  }
  $("saved").hidden = !$("saved-list").childElementCount && $("save-search").hidden;
}

function drawRows() {
  const rows = searches.map((search) => {
    if (search.id === editedId) return makeNameForm(search.name);
    return search.id === doomedId ? makeQuestion(search) : makeRow(search);
  });
  if (editedId === 0) rows.push(makeNameForm(getState().text.slice(0, MAX_NAME_LENGTH)));
  $("saved-list").replaceChildren(...rows);
  drawSaved(getState());
}

function makeRow(search) {
  const open = createElement(
    "button",
    { type: "button", className: "saved-name", title: search.name },
    createElement("bdi", { textContent: search.name }),
  );
  open.addEventListener("click", () => changeState(makeSavedState(search)));
  const rename = makeIconButton("edit", text("rename_search", search.name), () => edit(search.id));
  const remove = makeIconButton("remove", text("remove_search", search.name), () =>
    askToRemove(search.id),
  );
  return createElement("li", {}, open, rename, remove);
}

function makeIconButton(icon, label, act) {
  const button = createElement("button", { type: "button", className: "icon", title: label });
  button.setAttribute("aria-label", label);
  button.append(createIcon(icon));
  button.addEventListener("click", act);
  return button;
}

function makeNameForm(name) {
  const field = createElement("input", {
    value: name, maxLength: MAX_NAME_LENGTH, required: true, autocomplete: "off", id: "saved-name",
  });
  field.setAttribute("aria-label", text("search_name"));
  const form = createElement(
    "form",
    { id: "name-search" },
    field,
    createElement("button", { type: "submit", className: "text-button", textContent: text("save") }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submitName(field.value.trim());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // the drawer stays open
    edit(null);
  });
  return createElement("li", {}, form);
}

// Show the field for the name of a saved search, or of a new one (0); null: no field.
function edit(id) {
  const last = editedId;
  [editedId, doomedId] = [id, null];
  showProblem("");
  drawRows();
  if (id !== null) $("saved-name").select();
  else focusRow(last);
}

function focusRow(id) {
  const position = searches.findIndex((search) => search.id === id);
  const row = $("saved-list").children[position];
  (row?.querySelector(".saved-name") ?? visibleSaveButton() ?? $("find")).focus();
}

const visibleSaveButton = () => ($("save-search").hidden ? null : $("save-search"));

async function submitName(name) {
  const id = editedId;
  try {
    const saved = id ? await renameSaved(id, name) : await saveSearch(makeFields(getState(), name));
    const { saved: running } = getState();
    const old = searches.find((search) => search.id === id);
    editedId = null;
    showProblem("");
    await loadSaved();
    if (old && running === old.name) changeState({ saved: name }, { replace: true });
    focusRow(saved.id);
  } catch (error) {
    showProblem(explain(error, id, name));
    await refreshSaved(); // it shows the search that has the name already, or not the removed one
  }
}

// Say what a user of the page can do; id: of the saved search that gets another name, or 0.
function explain({ kind, status, message }, id, name) {
  if (kind === "NameTakenError") return text("name_taken", name);
  return id && status === 404 ? text("search_gone") : message;
}

function makeQuestion(search) {
  const remove = createElement("button", {
    type: "button", className: "text-button", id: "remove-search", textContent: text("remove_now"),
  });
  const cancel = createElement("button", {
    type: "button", className: "text-button", textContent: text("cancel"),
  });
  remove.addEventListener("click", () => removeNow(search));
  cancel.addEventListener("click", () => askToRemove(null));
  const row = createElement(
    "li",
    { className: "question" },
    createElement("p", { textContent: text("remove_search_question", search.name) }),
    remove,
    cancel,
  );
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // the drawer stays open
    askToRemove(null);
  });
  return row;
}

// Ask whether to remove a saved search; null: ask no more.
function askToRemove(id) {
  const last = doomedId;
  [doomedId, editedId] = [id, null];
  drawRows();
  if (id !== null) $("remove-search").focus();
  else focusRow(last);
}

async function removeNow(search) {
  const position = searches.indexOf(search);
  try {
    await removeSaved(search.id);
  } catch (error) {
    if (error.status !== 404) return showProblem(error.message); // 404: it is removed already
  }
  doomedId = null;
  showProblem("");
  await loadSaved();
  focusRow((searches[position] ?? searches[position - 1])?.id);
}

function showProblem(message) {
  $("saved-problem").textContent = message;
  $("saved-problem").hidden = !message;
}

export async function loadSaved() {
  searches = await listSaved().catch(() => searches); // the pictures report the same error
  drawRows();
}

// Show changes by another tab or the command line. If there are none, the rows stay as they are.
async function refreshSaved() {
  const loaded = await listSaved().catch(() => searches);
  if (JSON.stringify(loaded) === JSON.stringify(searches)) return;
  searches = loaded;
  const isLost = (id) => id && !searches.some((search) => search.id === id);
  if (isLost(editedId)) editedId = null;
  if (isLost(doomedId)) doomedId = null;
  const typed = $("saved-name")?.value;
  const hadFocus = $("saved-list").contains(document.activeElement);
  drawRows();
  const field = $("saved-name");
  if (field) field.value = typed;
  if (hadFocus) (field ?? $("remove-search") ?? $("find")).focus();
}

export function listenToSaved() {
  addEventListener("focus", refreshSaved); // of the window
  $("save-search").addEventListener("click", () => edit(0));
  loadSaved();
}
