// What the grid shows: all pictures by date, or the results of a query; with status and notices.

import { Problem } from "./api.js";
import { loadTimeline, makeBrowseModel } from "./browse.js";
import { hasExamples } from "./examples.js";
import { NO_FILTERS, activeFilters, filterKey } from "./filters.js";
import { clearGrid, fitGrid, getModel, getPlan, goToPlace, onGridResize, showModel } from "./grid.js";
import { changeFilters, changeState, getState, showAgain } from "./navigation.js";
import { drawWarnings, hideNotice, showEmptyLibrary, showNotice } from "./notices.js";
import { findTitle } from "./problem_titles.js";
import { takeReloadedPlace } from "./reload.js";
import { getRecentAnswer, loadAnswer, loadPage, makeResultsModel } from "./results.js";
import { mayHaveMore, sortHits } from "./results.js";
import { drawScoreSlider } from "./score_slider.js";
import { drawScrubber } from "./scrubber.js";
import { hasQuery, isInWords, makeStateUrl, resultsKey } from "./state.js";
import { text } from "./texts.js";
import { $, formatScore } from "./views.js";

let answer = null; // of the query that is shown; see results.js
let timeline = null; // of the filters that are shown; see browse.js
let abort = new AbortController(); // of the running request
let nextPage = null; // promise of the next page while it is loaded
const scrollByFilters = new Map(); // key of filters -> scroll position, for going back

export const resetFilters = () => changeFilters(NO_FILTERS);
const makeUrl = (id) => makeStateUrl({ ...getState(), open: id });

// Show the pictures of a state, unless they are shown already.
export async function showPictures(state, previous, { again = false, back = false } = {}) {
  const isQuery = hasQuery(state);
  const shownKey = isQuery ? answer?.key : timeline?.key;
  const key = isQuery ? resultsKey(state) : filterKey(state);
  if (!again && shownKey === key) {
    if (isQuery && (state.min !== previous.min || state.rest !== previous.rest)) drawAnswer();
    return;
  }
  rememberScroll();
  const place = takeReloadedPlace();
  abort.abort();
  const { signal } = (abort = new AbortController());
  nextPage = null;
  setBusy(true);
  try {
    if (isQuery) await showAnswer(state, signal, back && getRecentAnswer(state));
    else await showTimeline(state, signal, again, back, place);
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(error);
  }
  setBusy(false);
}

function rememberScroll() {
  if (answer) answer.scroll = scrollY;
  if (timeline) scrollByFilters.set(timeline.key, scrollY);
}

function setBusy(isBusy) {
  $("progress").hidden = !isBusy;
  $("results").setAttribute("aria-busy", String(isBusy));
}

// --- browsing ----------------------------------------------------------------------------------

async function showTimeline(state, signal, isAgain, isBack, place) {
  const loaded = await loadTimeline(state, signal, isAgain);
  if (signal.aborted) return;
  [timeline, answer] = [loaded, null];
  $("more").hidden = true;
  $("by-field").hidden = $("sort-field").hidden = $("cut-field").hidden = true;
  const scroll = isBack ? (scrollByFilters.get(loaded.key) ?? 0) : 0;
  const count = loaded.ids.length;
  $("status").textContent = count ? text("pictures_count", count) : "";
  if (count) hideNotice();
  else if (activeFilters(state).length) showNoMatch();
  else showEmptyLibrary();
  if (isPictureLost(state)) showLostPicture();
  showModel(makeBrowseModel(loaded, makeUrl), { scroll });
  if (place) goToPlace(place);
  redrawScrubber();
}

function showNoMatch() {
  showNotice("empty", {
    title: text("no_matching"),
    text: text("no_matching_text"),
    actions: [[text("remove_all_filters"), resetFilters]],
  });
}

// Whether the question had a picture from this computer, which the browser did not store.
const isPictureLost = ({ picture }) => Boolean(history.state?.picture && !picture);

function showLostPicture() {
  showNotice("empty", {
    title: text("lost_picture"),
    text: text("lost_picture_text"),
  });
}

// --- results -----------------------------------------------------------------------------------

async function showAnswer(state, signal, recent) {
  if (!answer) $("status").textContent = text("searching");
  const loaded = recent || (await searchWhenReady(state, signal));
  if (signal.aborted) return;
  [answer, timeline] = [loaded, null];
  drawAnswer({ scroll: recent ? answer.scroll : 0 });
}

// While the model starts, the server answers with the time after which to repeat the request.
async function searchWhenReady(query, signal) {
  for (;;) {
    try {
      return await loadAnswer(query, signal);
    } catch (error) {
      if (!error.retryAfter) throw error;
      clearPictures();
      const inTexts = { by: "text", sort: query.sort === "rerank" ? "" : query.sort }; // needs no model
      showNotice("waiting", {
        title: text("model_starting"),
        text: text("model_starting_text"),
        code: error.message,
        actions: isInWords(query) ? [[text("search_texts_now"), () => changeState(inTexts)]] : [],
      });
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      signal.throwIfAborted();
    }
  }
}

// Draw the loaded hits. A changed minimum score or fold needs no new search.
function drawAnswer({ scroll = null } = {}) {
  const state = getState();
  const sorted = sortHits(answer, state);
  const shownCount = sorted.good.length + (state.rest ? sorted.rest.length : 0);
  const isCut = state.min !== null && sorted.good.length + sorted.rest.length < answer.hits.length;
  const hasMore = mayHaveMore(answer, state) && !isCut;
  $("sort-field").hidden = $("cut-field").hidden = false;
  $("by-field").hidden = !isInWords(state);
  $("rerank-option").hidden = hasExamples(state);
  drawWarnings([...(isPictureLost(state) ? [text("without_picture")] : []), ...(answer.warnings ?? [])]);
  drawScoreSlider(answer.hits, state);
  $("status").textContent = describeAnswer(sorted, hasMore, state);
  if (shownCount) hideNotice();
  else if (answer.hits.length) showLowScores(state);
  else if (activeFilters(state).length) showNoMatch();
  else showNoResults(state);
  showModel(makeResultsModel(sorted, answer, state, makeUrl, toggleRest), { scroll });
  redrawScrubber();
  drawMore(hasMore);
}

// The minimum score has changed.
export const redrawAnswer = () => drawAnswer();

function describeAnswer({ good, rest, isJudged }, hasMore, state) {
  if (!good.length && !rest.length) return "";
  let status = text(isJudged ? "good_count" : "pictures_count", good.length);
  if (hasMore && !(isJudged && state.rest)) status = text("so_far", status);
  if (state.min !== null) status = text("with_score", status, formatScore(state.min));
  status = text(state.sort === "date" ? "newest_first" : "best_first", status);
  const isWeak = answer.good_match === false || (answer.isJudged && !isJudged);
  return isWeak ? text("no_good_match", status) : status;
}

function showLowScores({ min }) {
  showNotice("empty", {
    title: text("no_results"),
    text: text("no_results_text", formatScore(min), formatScore(answer.hits[0].score)),
    actions: [[text("show_all"), () => changeState({ min: null })]],
  });
}

function showNoResults(state) {
  const { by, similar } = state;
  showNotice("empty", {
    title: text("no_results"),
    text: text(similar || hasExamples(state) ? "no_results_examples" : "no_results_words"),
    actions: by === "text" ? [[text("search_pictures_too"), () => changeState({ by: "" })]] : [],
  });
}

async function toggleRest() {
  await changeState({ rest: getState().rest ? null : 1 }, { replace: true });
  $("toggle-rest")?.focus({ preventScroll: true });
}

// --- further pages -----------------------------------------------------------------------------

const endObserver = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && loadMore(),
  { rootMargin: "800px" },
);

function drawMore(hasMore) {
  $("more").hidden = !hasMore;
  $("more").textContent = text("show_more");
  endObserver.unobserve($("more"));
  if (hasMore) endObserver.observe($("more")); // observe again: the observer reports only changes
}

// Load the next page of the results; resolves when it is shown.
export function loadMore() {
  if ($("more").hidden || !answer || nextPage) return nextPage;
  const [extended, { signal }] = [answer, abort];
  $("more").textContent = text("loading");
  nextPage = loadPage(extended, getState(), signal)
    .then(() => {
      if (answer !== extended) return;
      nextPage = null;
      drawAnswer();
    })
    .catch((error) => {
      if (answer !== extended || error.name === "AbortError") return;
      nextPage = null;
      $("more").textContent = text("try_again");
      $("status").textContent = error.message;
    });
  return nextPage;
}

// Another view is shown instead of the grid.
export function leavePictures() {
  rememberScroll();
  takeReloadedPlace(); // it belongs to pictures that are not shown
  abort.abort();
  setBusy(false);
  hideNotice();
  drawWarnings([]);
  $("by-field").hidden = $("sort-field").hidden = $("cut-field").hidden = true;
  clearPictures();
}

// --- problems ----------------------------------------------------------------------------------

function clearPictures() {
  [answer, timeline] = [null, null];
  $("status").textContent = "";
  $("more").hidden = true;
  clearGrid();
  redrawScrubber();
}

export function showProblem(error) {
  if (!(error instanceof Problem)) console.error(error);
  abort.abort(); // its answer would hide the notice
  setBusy(false);
  clearPictures();
  showNotice("problem", {
    title: findTitle(error),
    text: error.message,
    actions: [findRemedy(error)],
  });
}

// Return the label of a button after a problem, and what it does.
function findRemedy({ kind, status }) {
  if (status === 401) return [text("reload"), () => location.reload()]; // shows the login form
  const isBroken = kind === "PictureError" && getState().picture;
  // Click: the form keeps the words that are typed, but not submitted.
  if (isBroken) return [text("remove_picture"), () => $("remove-picture").click()];
  return [text("try_again"), showAgain];
}

// The scrubber takes some of the width: without fitGrid, a later frame would move the tiles.
function redrawScrubber() {
  drawScrubber(getModel(), getPlan());
  fitGrid();
}

onGridResize(() => drawScrubber(getModel(), getPlan()));
