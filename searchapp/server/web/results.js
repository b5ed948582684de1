// Results of a query: pages of hits, sorted into good matches and less likely ones.

import { searchPictures } from "./api.js";
import { findColor } from "./browse.js";
import { countDays, groupByMonth } from "./groups.js";
import { resultsKey } from "./state.js";
import { text } from "./texts.js";
import { createElement, roundScore } from "./views.js";

const MAX_RECENT_ANSWERS = 12;
const MAX_HITS_BY_DATE = 900; // best hits that are sorted by date

const recentAnswers = new Map(); // by key, for going back without a search

export const getRecentAnswer = (state) => recentAnswers.get(resultsKey(state));

// Return {key, hits, more, good_match, isJudged, scroll, hasGoodEnd}.
// hasGoodEnd: the last page had a good match, so that the next page can have one too.
export async function loadAnswer(query, signal) {
  const answer = { key: resultsKey(query), scroll: 0, hits: [], more: true };
  do await loadPage(answer, query, signal);
  while (query.sort === "date" && mayHaveMore(answer, query) && answer.hits.length < MAX_HITS_BY_DATE);
  recentAnswers.delete(answer.key);
  recentAnswers.set(answer.key, answer);
  const [oldestKey] = recentAnswers.keys();
  if (recentAnswers.size > MAX_RECENT_ANSWERS) recentAnswers.delete(oldestKey);
  return answer;
}

// Add the next page of hits to an answer.
export async function loadPage(answer, query, signal) {
  const page = await searchPictures(query, answer.hits.length, signal);
  // If the index has grown, hits of the previous page can move to this page.
  const knownIds = new Set(answer.hits.map((hit) => hit.id));
  const newHits = page.hits.filter((hit) => !knownIds.has(hit.id));
  answer.more = page.more && newHits.length > 0;
  answer.hits.push(...newHits);
  answer.good_match ??= page.good_match;
  answer.warnings ??= page.warnings;
  // Without a judge, only hits whose words match are known to be good; null hits are not "less likely".
  answer.isJudged = answer.hits.every((hit) => hit.good_match !== null);
  answer.hasGoodEnd = newHits.some((hit) => hit.good_match);
}

// Whether the next page can have hits that belong above the fold.
export const mayHaveMore = (answer, { rest, sort }) =>
  answer.more &&
  !(sort === "date" && answer.hits.length >= MAX_HITS_BY_DATE) &&
  (!answer.isJudged || answer.hasGoodEnd || Boolean(rest) || !answer.hits.some((h) => h.good_match));

// Return {good, rest, isJudged}: the hits above and below the line "less likely".
export function sortHits(answer, state) {
  const hits = answer.hits.filter(
    (hit) => state.min === null || roundScore(hit.score) >= state.min,
  );
  const isGood = (hit) => hit.good_match || hit.id === state.similar;
  const isJudged = answer.isJudged && hits.some((hit) => hit.good_match);
  const good = isJudged ? hits.filter(isGood) : hits;
  const rest = isJudged ? hits.filter((hit) => !isGood(hit)) : [];
  if (state.sort === "date") good.sort((a, b) => (b.date ?? "").localeCompare(a.date ?? ""));
  return { good, rest, isJudged };
}

// Return the model of sorted hits for the grid. toggleRest: shows or folds the less likely hits.
export function makeResultsModel({ good, rest }, answer, state, makeUrl, toggleRest) {
  const shown = state.rest ? [...good, ...rest] : good;
  const isByMonth = state.sort === "date";
  const groups = isByMonth ? groupByMonth(countDays(good)) : [{ from: 0, to: good.length }];
  if (rest.length) {
    const restCount = text("pictures_count", rest.length);
    groups.push({
      title: text("less_likely"), from: good.length, to: shown.length,
      note: answer.more ? text("or_more", restCount) : restCount,
      isOpen: Boolean(state.rest),
      button: () => makeFoldButton(Boolean(state.rest), toggleRest),
    });
  }
  return {
    ids: shown.map((hit) => hit.id),
    ratios: shown.map((hit) => hit.width / hit.height || 1),
    groups, makeUrl, isByMonth,
    getColor: (index) => findColor(shown[index].id),
    getPicture: (index) => shown[index],
    getHash: (index) => shown[index].sha256,
  };
}

function makeFoldButton(isShown, toggle) {
  const button = createElement("button", {
    type: "button", id: "toggle-rest", className: "button",
    textContent: text(isShown ? "hide" : "show"),
  });
  button.setAttribute("aria-expanded", String(isShown));
  button.setAttribute("aria-label", text(isShown ? "hide_less_likely" : "show_less_likely"));
  button.addEventListener("click", toggle);
  return button;
}
