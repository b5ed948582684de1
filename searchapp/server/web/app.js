// The page: one state, which is in the URL. Each change goes through changeState(), or through the
// back and forward buttons of the browser.

import { Problem, getFacets, getInfo, getPicture } from "./api.js";
import { imageUrl, searchPictures, thumbnailUrl } from "./api.js";
import { drawFacets } from "./facets.js";
import { NO_FILTERS, activeFilters, filterKey } from "./filters.js";
import { drawLargeView, stopVideo } from "./large_view.js";
import { listenForPictures, storePicture } from "./pictures.js";
import { EMPTY_STATE, hasQuery, makeStateUrl, readState, resultsKey } from "./state.js";
import { drawTimeline, listenToTimeline, onDatesSelected } from "./timeline.js";
import { $, addFolderOption, fillFolderOptions, fillYearOptions, hideNotice } from "./views.js";
import { findNeighbor, formatCount, formatScore, isRootFolder, makeTile } from "./views.js";
import { roundScore, showNotice } from "./views.js";

const MAX_RECENT_ANSWERS = 12;
const EXAMPLES = ["a red boat at sunset", "two white sheep", "snow in the city"];

let state = EMPTY_STATE;
let answer = null; // {key, hits, more, good_match, milliseconds, scroll}
let searchAbort = new AbortController(); // of the running search
let nextPage = null; // promise of the next page while it is loaded
let libraryInfo = null;
let libraryInfoLoaded = null; // promise
const recentAnswers = new Map(); // by key, for going back without a search

// --- state -------------------------------------------------------------------------------------

// Change the state, add it to the browser history (replace: overwrite the entry), and show it.
// viewing: the entry opens the large view, so that closing the view can go back.
function changeState(
  change,
  { replace = false, viewing = history.state?.viewing && replace } = {},
) {
  const next = { ...state, ...change };
  const entry = { picture: next.picture?.id, viewing: Boolean(viewing && next.open) };
  history[replace ? "replaceState" : "pushState"](entry, "", makeStateUrl(next));
  return showState(next);
}

// again: repeat the search even if the query is the same. back: reuse a recent answer.
async function showState(next, { again = false, back = false } = {}) {
  const previous = state;
  state = next;
  drawForm();
  if (hasQuery(next)) drawFilterChoices(again);
  if (!hasQuery(next)) showStart();
  else if (again || resultsKey(next) !== answer?.key) {
    await showResults(back ? recentAnswers.get(resultsKey(next)) : null);
  } else if (next.min !== previous.min) applyMinScore();
  await showLargeView();
}

// --- the form ----------------------------------------------------------------------------------

function drawForm() {
  const { text, picture, similar } = state;
  document.body.classList.toggle("start", !hasQuery(state));
  const like = picture ? picture.file.name : similar ? "a picture in the library" : "";
  document.title = hasQuery(state) ? `${text || `like ${like}`} · searchapp` : "searchapp";
  // An unchanged query keeps words that are typed, but not submitted.
  if (text !== drawnText) $("words").value = drawnText = text;
  $("words").placeholder = like ? "Add words" : "Describe a picture";
  drawClearButton();
  $("picture").hidden = !like;
  $("picture-name").textContent = like ? `Pictures like ${like}` : "";
  drawPreview(picture, similar);

  for (const name of ["folder", "after", "before", "near"]) $(name).value = state[name];
  $("taken").checked = state.taken;
  // A folder from a URL may have no pictures, and so no option.
  if ($("folder").value !== state.folder) addFolderOption(state.folder);
  const active = [...activeFilters(state), ...(state.min === null ? [] : ["min"])];
  $("reset").hidden = active.length === 0;
  $("toggle-filters").classList.toggle("set", active.length > 0);
  const label = active.length ? `Filters, ${active.length} active` : "Filters";
  $("toggle-filters").setAttribute("aria-label", label);
}

// --- filters -----------------------------------------------------------------------------------

let facets = null; // {key, ...answer of /api/facets}
let facetsAbort = new AbortController();

// An empty change only redraws the lists, because one was expanded or collapsed.
const changeFilters = (change) =>
  Object.keys(change).length
    ? changeState({ ...change, min: null })
    : drawFacets(facets, state, changeFilters);

async function drawFilterChoices(again) {
  const key = filterKey(state);
  facetsAbort.abort();
  if (facets?.key !== key || again) {
    facetsAbort = new AbortController();
    try {
      facets = { ...(await getFacets(state, facetsAbort.signal)), key };
    } catch {
      return; // the search reports the same error
    }
  }
  drawFacets(facets, state, changeFilters);
  drawTimeline(facets.months, state);
  $("taken-field").hidden = !state.taken && !facets.months.some((month) => month.by_file);
}

let drawnText = "";
let previewed = null;

function drawPreview(picture, similar) {
  const source = picture ?? similar;
  if (source === previewed) return;
  previewed = source;
  URL.revokeObjectURL($("preview").src);
  $("picture").classList.remove("blind");
  if (picture) $("preview").src = URL.createObjectURL(picture.file);
  else if (similar) $("preview").src = thumbnailUrl({ id: similar }, 320);
  else $("preview").removeAttribute("src");
}

const drawClearButton = () => ($("clear-words").hidden = !$("words").value);

async function searchWithPicture(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) {
    showProblem(new Problem(`${file.name} is not a picture. Choose an image file.`), null);
    return;
  }
  let picture;
  try {
    picture = await storePicture(file);
  } catch {
    const message = `${file.name} cannot be read. Choose a file, not a folder.`;
    showProblem(new Problem(message), null);
    return;
  }
  changeState({ picture, similar: null, text: $("words").value.trim(), min: null, open: null });
}

function submitQuery() {
  const text = $("words").value.trim();
  if (matchMedia("(pointer: coarse)").matches) $("words").blur(); // hides the on-screen keyboard
  if (text === state.text) showState(state, { again: true });
  else changeState({ text, min: null });
}

// --- results -----------------------------------------------------------------------------------

// recentAnswer: shown again without a search, if it is given.
async function showResults(recentAnswer) {
  searchAbort.abort();
  const { signal } = (searchAbort = new AbortController());
  const query = state;
  if (answer) answer.scroll = scrollY;
  nextPage = null;
  setBusy(true);
  try {
    if (!answer) {
      hideNotice();
      $("status").textContent = "Searching …";
    }
    const newAnswer = recentAnswer ?? {
      ...(await searchWhenReady(query, 0, signal)),
      key: resultsKey(query),
      scroll: 0,
    };
    await libraryInfoLoaded; // the root folder, which shortens the names of folders
    if (signal.aborted) return;
    answer = newAnswer;
    rememberAnswer(answer);
    $("results").replaceChildren(...answer.hits.map(makeHitTile));
    applyMinScore();
    scrollTo({ top: recentAnswer ? answer.scroll : 0, behavior: "instant" });
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(error, () => showState(state, { again: true }));
  }
  setBusy(false);
}

function rememberAnswer(newAnswer) {
  recentAnswers.delete(newAnswer.key);
  recentAnswers.set(newAnswer.key, newAnswer);
  const [oldestKey] = recentAnswers.keys();
  if (recentAnswers.size > MAX_RECENT_ANSWERS) recentAnswers.delete(oldestKey);
}

function setBusy(isBusy) {
  $("progress").hidden = !isBusy;
  $("results").setAttribute("aria-busy", String(isBusy));
}

// While the model starts, the server answers with the time after which to repeat the request.
async function searchWhenReady(query, offset, signal) {
  for (;;) {
    try {
      return await searchPictures(query, offset, signal);
    } catch (error) {
      if (!error.retryAfter) throw error;
      clearResults();
      $("status").textContent = "";
      showNotice("waiting", {
        title: "The model is starting",
        text: "This takes some seconds, or about a minute for a large model. Please wait.",
        code: error.message,
      });
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      signal.throwIfAborted();
    }
  }
}

function loadMore() {
  if (!answer?.more || nextPage) return nextPage;
  const [extended, { signal }] = [answer, searchAbort];
  $("more").textContent = "Loading …";
  nextPage = searchPictures(state, extended.hits.length, signal)
    .then((page) => {
      // If the index has grown, hits of the previous page can move to this page.
      const knownIds = new Set(extended.hits.map((hit) => hit.id));
      const newHits = page.hits.filter((hit) => !knownIds.has(hit.id));
      extended.more = page.more && newHits.length > 0;
      extended.hits.push(...newHits);
      if (answer !== extended) return;
      $("results").append(...newHits.map(makeHitTile));
      nextPage = null;
      applyMinScore();
    })
    .catch((error) => {
      if (answer !== extended || error.name === "AbortError") return;
      nextPage = null;
      $("more").textContent = "Try again";
      $("status").textContent = error.message;
    });
  return nextPage;
}

const makeHitTile = (hit) => makeTile(hit, makeStateUrl({ ...state, open: hit.id }));
const hasMinScore = (hit) => state.min === null || roundScore(hit.score) >= state.min;

// Hide the hits below the lowest score. Hits are sorted by score, so this needs no new search.
function applyMinScore() {
  const { hits, more, milliseconds } = answer;
  const visible = hits.filter(hasMinScore).length;
  [...$("results").children].forEach((item, i) => (item.hidden = i >= visible));
  const hasMore = more && visible === hits.length;
  $("more").hidden = !hasMore;
  $("more").textContent = "Show more";
  endObserver.unobserve($("more"));
  if (hasMore) endObserver.observe($("more")); // observe again: the observer reports only changes

  const scores = hits.filter((hit) => hit.id !== state.similar).map((hit) => roundScore(hit.score));
  const lowest = Math.min(scores.at(-1) ?? 0, state.min ?? Infinity);
  const cut = state.min === null ? "" : formatScore(state.min);
  Object.assign($("cut"), {
    min: lowest,
    max: Math.max(scores[0] ?? 1, state.min ?? -1),
    value: state.min ?? lowest,
    disabled: scores.length < 2 && !cut,
  });
  $("cut").setAttribute("aria-valuetext", cut ? `at least ${cut}` : "any score");
  $("cut-value").textContent = cut ? `≥ ${cut}` : "any";
  const condition = cut && ` with a score of ${cut} or more`;
  $("status").textContent =
    `${formatCount(visible, "picture")}${hasMore ? " so far" : ""}${condition}, best first` +
    (answer.good_match === false ? " · no good match" : "") +
    ` · ${Math.round(milliseconds)} ms`;
  if (visible) return hideNotice();
  $("status").textContent = "";
  if (hits.length) {
    showNotice("empty", {
      title: "No results",
      text:
        `No picture has a score of ${cut} or more. ` +
        `The best score is ${formatScore(hits[0].score)}.`,
      actions: [["Show all results", () => changeState({ min: null })]],
    });
  } else if (activeFilters(state).length) {
    showNotice("empty", {
      title: "No matching pictures",
      text: "No picture matches all filters.",
      actions: [["Remove all filters", resetFilters]],
    });
  } else showEmptyLibrary();
}

function clearResults() {
  $("results").replaceChildren();
  $("more").hidden = true;
  answer = null;
}

function showStart() {
  searchAbort.abort();
  setBusy(false);
  $("status").textContent = "";
  clearResults();
  if (libraryInfo && !libraryInfo.images) return showEmptyLibrary();
  if (history.state?.picture) {
    showNotice("empty", {
      title: "The picture is no longer available",
      text: "The browser did not store it. Drop or choose it again.",
    });
    return;
  }
  const contents = libraryInfo ? `${describeContents(libraryInfo)}. ` : "";
  showNotice("hello", {
    text: `${contents}Describe a picture, or drop, paste or choose a similar one.`,
    actions: EXAMPLES.map((text) => [text, () => changeState({ text })]),
  });
}

const describeContents = ({ images, folders }) =>
  `${formatCount(images, "picture")} in ${formatCount(folders.length, "folder")}`;

function showEmptyLibrary() {
  showNotice("empty", {
    title: "The library has no pictures",
    text: "Index a folder in a terminal, then reload the page:",
    code: "searchapp index ~/Pictures",
    actions: [["Reload", () => location.reload()]],
  });
}

function showProblem(error, retry) {
  if (!(error instanceof Problem)) console.error(error);
  clearResults();
  $("status").textContent = "";
  document.body.classList.remove("start");
  showNotice("problem", {
    title: "Something went wrong",
    text: error.message,
    actions: retry ? [["Try again", retry]] : [["Back", () => showState(state, { again: true })]],
  });
}

function resetFilters() {
  changeState({ ...NO_FILTERS, min: null });
}

// --- the large view ----------------------------------------------------------------------------

let openHit = null; // the hit in the large view
const findVisibleHits = () => answer?.hits.filter(hasMinScore) ?? [];

async function showLargeView() {
  const dialog = $("large");
  const id = state.open;
  if (id === null) {
    if (dialog.open) dialog.close();
    return;
  }
  const hits = findVisibleHits();
  const index = hits.findIndex((hit) => hit.id === id);
  let hit = hits[index];
  try {
    hit ??= await getPicture(id); // the URL was shared, or the hit is on a later page
  } catch (error) {
    if (state.open === id) {
      changeState({ open: null }, { replace: true });
      $("status").textContent = error.message;
    }
    return;
  }
  if (state.open !== id || !hit) return;
  const isResult = index >= 0;
  openHit = hit;
  drawLargeView(hit, {
    score: isResult ? hit.score : null,
    position: isResult ? `${index + 1} of ${hits.length}${answer.more ? "+" : ""}` : "",
  });
  $("like").href = makeStateUrl({ ...EMPTY_STATE, similar: id });
  $("only-folder").href = makeStateUrl({ ...state, folder: hit.folder, open: null });
  $("only-folder").hidden =
    !hasQuery(state) || state.folder === hit.folder || isRootFolder(hit.folder);
  $("previous").hidden = !(index > 0);
  $("next").hidden = !isResult || (index === hits.length - 1 && $("more").hidden);
  $("copy-label").textContent = "Copy path";
  if (!dialog.open) {
    dialog.showModal();
    $("large-name").focus();
  }
  for (const other of [hits[index + 1], hits[index - 1]]) {
    if (isResult && other) new Image().src = imageUrl(other); // preload, for the arrow keys
  }
}

// Open the next (offset 1) or previous (offset -1) hit.
async function openNeighbor(offset) {
  const index = findVisibleHits().findIndex((hit) => hit.id === state.open);
  if (index < 0) return;
  if (!findVisibleHits()[index + offset] && offset > 0 && !$("more").hidden) await loadMore();
  const hit = findVisibleHits()[index + offset];
  if (hit) changeState({ open: hit.id }, { replace: true });
}

// If a click opened the large view, closing it goes back in the history. Otherwise the browser's
// back button would open it again.
function closeLargeView() {
  stopVideo();
  if (state.open === null) return; // the state has changed, and closed the dialog
  const item = $("results").querySelector(`[data-id="${state.open}"] a`);
  if (history.state?.viewing) history.back();
  else changeState({ open: null }, { replace: true });
  item?.focus({ preventScroll: true });
  item?.scrollIntoView({ block: "nearest" });
}

async function copyPath() {
  const path = $("path");
  let copied = true;
  try {
    await navigator.clipboard.writeText(path.textContent);
  } catch {
    getSelection().selectAllChildren(path); // the clipboard API needs TLS or localhost
    copied = document.execCommand("copy");
  }
  $("copy-label").textContent = copied ? "Copied" : "Copy the selected path";
  $("large-status").textContent = copied
    ? "The path is copied."
    : "The path cannot be copied. It is selected: copy it with the keyboard.";
}

// --- events ------------------------------------------------------------------------------------

const listen = (id, type, handler) => $(id).addEventListener(type, handler);

listen("ask", "submit", (event) => {
  event.preventDefault();
  submitQuery();
});
listen("words", "input", drawClearButton);
listen("clear-words", "click", () => {
  $("words").value = "";
  $("words").focus();
  if (state.text) changeState({ text: "", min: null });
  else drawClearButton();
});
listen("remove-picture", "click", () => {
  $("words").focus();
  changeState({ picture: null, similar: null, text: $("words").value.trim(), min: null });
});
listen("preview", "error", () => $("picture").classList.add("blind")); // TIFF, for example

listen("folder", "change", () => changeState({ folder: $("folder").value, min: null }));
for (const name of ["after", "before", "near"]) {
  listen(name, "change", () => {
    const valid = $(name).checkValidity();
    $(name).setAttribute("aria-invalid", String(!valid));
    if (valid) changeState({ [name]: $(name).value.trim(), min: null });
  });
}
listen("taken", "change", () => changeFilters({ taken: $("taken").checked }));
onDatesSelected((dates) => {
  // A second click on the only selected bar removes the filter.
  const isSame = dates.after === state.after && dates.before === state.before;
  changeFilters(isSame ? { after: "", before: "" } : dates);
});
listen("all-years", "click", () => {
  changeFilters({ after: "", before: "" });
  $("results").focus({ preventScroll: true }); // the button disappears
});
listen("cut", "input", () => {
  const { value, min } = $("cut");
  state = { ...state, min: Number(value) <= Number(min) ? null : Number(value) };
  drawForm();
  applyMinScore();
});
// Browsers limit the URL changes per second, so the URL changes at the end of a drag only.
listen("cut", "change", () => changeState({}, { replace: true }));
listen("reset", "click", () => {
  resetFilters();
  $("results").focus({ preventScroll: true }); // the button disappears
});
listen("toggle-filters", "click", () => {
  const open = document.body.classList.toggle("filtering");
  $("toggle-filters").setAttribute("aria-expanded", String(open));
});

listen("skip", "click", (event) => {
  event.preventDefault(); // the URL contains the state, so the anchor must not change it
  $("results").focus();
});
listen("more", "click", loadMore);
const endObserver = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && loadMore(),
  { rootMargin: "800px" },
);

// Whether no modifier key and no button but the main one is pressed.
const isPlain = (event) =>
  !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

listen("results", "click", (event) => {
  const link = event.target.closest("a");
  if (!link || !isPlain(event)) return; // the browser opens the link in a new tab
  event.preventDefault();
  changeState({ open: Number(link.parentElement.dataset.id) }, { viewing: true });
});
listen("like", "click", (event) => {
  if (!isPlain(event)) return;
  event.preventDefault();
  changeState({ ...EMPTY_STATE, similar: state.open });
  $("results").focus({ preventScroll: true });
});
listen("only-folder", "click", (event) => {
  if (!isPlain(event)) return;
  event.preventDefault();
  changeState({ folder: openHit.folder, min: null, open: null });
  $("results").focus({ preventScroll: true });
});
listen("close", "click", () => $("large").close());
listen("large", "close", closeLargeView);
listen("stage", "click", (event) => event.target === $("stage") && $("large").close());
listen("previous", "click", () => openNeighbor(-1));
listen("next", "click", () => openNeighbor(1));
listen("copy", "click", copyPath);

let touchStartX = null;
listen("stage", "touchstart", (event) => {
  touchStartX = event.touches.length === 1 ? event.touches[0].clientX : null;
});
listen("stage", "touchend", (event) => {
  const distance = touchStartX === null ? 0 : event.changedTouches[0].clientX - touchStartX;
  if (Math.abs(distance) > 50 && visualViewport.scale === 1) openNeighbor(distance < 0 ? 1 : -1);
});

addEventListener("keydown", (event) => {
  if (!isPlain(event)) return;
  const isTyping = event.target.matches("input, select, textarea");
  const tile = event.target.closest("#results li");
  const direction = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 }[event.key];
  if ($("large").open) {
    if (event.target.matches("video")) return; // the arrow keys seek in a video
    if (Math.abs(direction) === 1) openNeighbor(direction);
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    $("words").select();
  } else if (tile && direction) {
    event.preventDefault();
    findNeighbor(tile, direction)?.querySelector("a").focus();
  } else if (event.target === $("words") && event.key === "ArrowDown") {
    $("results").querySelector("li:not([hidden]) a")?.focus();
  }
});

listenForPictures(searchWithPicture);
listenToTimeline();
addEventListener("popstate", () => showState(readState(), { back: true }));

history.scrollRestoration = "manual";
libraryInfoLoaded = getInfo()
  .then((loadedInfo) => {
    libraryInfo = loadedInfo;
    fillFolderOptions(libraryInfo.folders);
    fillYearOptions(libraryInfo.first_date ?? "", libraryInfo.last_date ?? "");
    $("folder").value = state.folder;
    if (!hasQuery(state) && $("notice").className !== "problem") showStart();
  })
  .catch((error) => hasQuery(state) || showProblem(error, () => location.reload()));
showState(readState());
