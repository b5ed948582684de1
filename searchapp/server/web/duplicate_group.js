// One group of duplicates: its files side by side, and the choice which of them stay. Each choice is
// saved in the library at once.

import { Problem, saveReview, thumbnailUrl } from "./api.js";
import { translateDifference, translateReason } from "./duplicate_phrases.js";
import { changeState, getState } from "./navigation.js";
import { makeStateUrl } from "./state.js";
import { text } from "./texts.js";
import { $, createElement, formatDate, isPlain } from "./views.js";

const groups = new WeakMap(); // element -> group: the answer of the API, and its cards
const SAME_SIZE = 0.05; // share of the bytes that does not matter
let saving = Promise.resolve(); // all choices are saved in their order

export const waitUntilSaved = () => saving;

export const listGroups = () => [...$("groups").children];
export const findGroup = (element) => element.closest(".duplicate-group");

// Return the change of the files that move, and of their bytes, by choices since the groups were loaded.
export function countMoved() {
  const files = listGroups().flatMap((element) => groups.get(element).files);
  const changed = files.filter((file) => file.stays !== file.stayed);
  const sign = (file) => (file.stays ? -1 : 1);
  return {
    files: changed.reduce((sum, file) => sum + sign(file), 0),
    bytes: changed.reduce((sum, file) => sum + sign(file) * file.size, 0),
  };
}

// Return the element of a group. onChange: called after each choice.
export function makeGroup(group, onChange) {
  const title = createElement("h2", { textContent: text(`kind_${group.certainty}`) });
  const isAlike = group.certainty === "similar";
  const reason = translateReason(group.reason);
  const state = createElement("span", { className: "state" });
  state.setAttribute("role", "status");
  const buttons = [["keep-all", "keep_all"], ["confirm", "confirm"]].map(([className, key]) =>
    createElement("button", { type: "button", className: `button ${className}`, textContent: text(key) }),
  );
  const cards = createElement("ul", { className: "cards" });
  const element = createElement(
    "div", { className: "duplicate-group" },
    title, createElement("p", { className: "why", textContent: isAlike ? reason : text("keep_reason", reason) }),
    cards, createElement("div", { className: "choices" }, ...buttons, state),
  );
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", `${title.textContent}: ${group.files[0].name}`);
  groups.set(element, { ...group, onChange, state, conflicts: 0 });
  group.files.forEach((file, index) => {
    file.stayed = file.stays;
    cards.append(makeCard(file, index ? group.files[0] : null));
  });
  element.addEventListener("click", useClick);
  if (group.is_reviewed) markReviewed(element, text("reviewed_earlier"));
  drawChoices(element);
  return element;
}

function makeCard(file, keeper) {
  const image = createElement("img", { src: thumbnailUrl({ id: file.image_id, sha256: file.sha256 }, 320), alt: "", loading: "lazy" });
  const toggle = createElement(
    "button", { type: "button", className: "toggle" },
    image, createElement("span", { className: "verdict" }),
  );
  toggle.setAttribute("aria-label", file.name);
  const companions = file.companions.map((path) => text("with_file", path.slice(path.lastIndexOf("/") + 1)));
  const difference = file.difference ? translateDifference(file.difference) : text("file_to_keep");
  const open = createElement("a", { href: makeStateUrl({ ...getState(), open: file.image_id }), textContent: text("open") });
  open.addEventListener("click", (event) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    changeState({ open: file.image_id }, { viewing: true });
  });
  return createElement(
    "li", { className: "card" }, toggle,
    createElement(
      "div", { className: "about" },
      createElement("bdi", { className: "name", textContent: file.name }),
      createElement("bdi", { className: "folder", textContent: file.folder }),
      createElement("span", { className: "facts" }, ...listFacts(file, keeper ?? file)),
      createElement("span", { className: "difference", textContent: [difference, ...companions].join(", ") }),
      createElement(
        "span", { className: "card-actions" },
        createElement("button", { type: "button", className: "only", textContent: text("keep_only") }), open,
      ),
    ),
  );
}

// Return dimensions, size, format and date, marked as better or worse than those of the file to keep.
function listFacts(file, keeper) {
  const compare = (surplus) => (surplus > 0 ? "better" : surplus < 0 ? "worse" : "same");
  const moreBytes = file.size - keeper.size;
  const facts = [
    [`${file.width}×${file.height}`, compare(file.width * file.height - keeper.width * keeper.height)],
    [text("bytes", file.size), compare(Math.abs(moreBytes) <= SAME_SIZE * keeper.size ? 0 : moreBytes)],
    [file.format, "same"],
    [file.taken_at ? formatDate(file.taken_at) : text("no_date"), compare(Boolean(file.taken_at) - Boolean(keeper.taken_at))],
  ];
  return facts.flatMap(([content, className], index) => [
    ...(index ? [" · "] : []), createElement("span", { className, textContent: content }),
  ]);
}

// --- choices -----------------------------------------------------------------------------------

function useClick(event) {
  const card = event.target.closest(".card");
  const element = findGroup(event.target);
  if (event.target.closest(".toggle")) toggleFile(card);
  else if (event.target.closest(".only")) keepOnly(card);
  else if (event.target.closest(".keep-all")) keepAll(element);
  else if (event.target.closest(".confirm")) confirmChoices(element);
}

const findFile = (card) => groups.get(findGroup(card)).files[[...card.parentElement.children].indexOf(card)];

// Let a file stay or move away; one file always stays.
function toggleFile(card) {
  const { files, state } = groups.get(findGroup(card));
  const file = findFile(card);
  if (file.stays && files.filter(({ stays }) => stays).length === 1) state.textContent = text("keep_one");
  else if (file.stays && !file.can_move) state.textContent = text("cannot_move");
  else {
    file.stays = !file.stays;
    confirmChoices(findGroup(card));
  }
}

export function keepOnly(card) {
  const kept = findFile(card);
  for (const file of groups.get(findGroup(card)).files) file.stays = file === kept || !file.can_move;
  confirmChoices(findGroup(card));
}

export function keepAll(element) {
  for (const file of groups.get(element).files) file.stays = true;
  confirmChoices(element);
}

// Save the choices of a group as they are, unless another window has changed them meanwhile.
export function confirmChoices(element) {
  const group = groups.get(element);
  const { files, onChange, state } = group;
  const review = files.map(({ path, sha256, stays }) => ({ path, sha256, stays }));
  const { conflicts: before } = group;
  drawChoices(element);
  onChange();
  markReviewed(element, text("saving"));
  const save = async () => {
    if (group.conflicts !== before) return; // chosen before the user saw the other choices
    try {
      const seen = review.map((file, index) => ({ ...file, seen: files[index].choice }));
      const { groups: count, conflicts: [conflict] } = await saveReview([seen]);
      if (conflict) showConflict(element, conflict.choices);
      else if (count) review.forEach(({ stays }, index) => (files[index].choice = stays));
      if (!conflict) state.textContent = text(count ? "choice_saved" : "choice_not_saved");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      state.textContent = error.message;
    }
  };
  saving = saving.then(save);
}

// Show the choices that another window has made.
function showConflict(element, choices) {
  const group = groups.get(element);
  group.conflicts += 1;
  group.files.forEach((file, index) => {
    file.choice = choices[index];
    file.stays = (file.choice ?? file.stayed) || !file.can_move;
  });
  drawChoices(element);
  group.onChange();
  group.state.textContent = text("choice_conflict");
}

function markReviewed(element, message) {
  element.querySelector(".confirm").setAttribute("aria-pressed", "true");
  groups.get(element).state.textContent = message;
}

function drawChoices(element) {
  const { files } = groups.get(element);
  element.querySelectorAll(".card").forEach((card, index) => {
    const { stays } = files[index];
    card.classList.toggle("keep", stays);
    card.classList.toggle("away", !stays);
    card.querySelector(".verdict").textContent = text(stays ? "stays" : "moves_away");
    card.querySelector(".toggle").setAttribute("aria-pressed", String(!stays));
  });
}
