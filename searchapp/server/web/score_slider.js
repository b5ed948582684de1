// The slider that hides hits with a low score. Hits are sorted by score, so this needs no search.

import { changeState, changeStateQuietly, getState } from "./navigation.js";
import { text } from "./texts.js";
import { $, formatScore, roundScore } from "./views.js";

export function drawScoreSlider(hits, { min, similar }) {
  const scores = hits.filter((hit) => hit.id !== similar).map((hit) => roundScore(hit.score));
  const lowest = Math.min(scores.at(-1) ?? 0, min ?? Infinity);
  const cut = min === null ? "" : formatScore(min);
  Object.assign($("cut"), {
    min: lowest,
    max: Math.max(scores[0] ?? 1, min ?? -1),
    value: min ?? lowest,
    disabled: scores.length < 2 && !cut,
  });
  $("cut").setAttribute("aria-valuetext", cut ? text("least_score", cut) : text("any_score"));
  $("cut-value").textContent = cut ? `≥ ${cut}` : text("any");
}

// redraw: shows the hits again while the user drags.
export function listenToScoreSlider(redraw) {
  $("cut").addEventListener("input", () => {
    const { value, min } = $("cut");
    changeStateQuietly({ min: Number(value) <= Number(min) ? null : Number(value) });
    redraw(getState());
  });
  // Browsers limit the URL changes per second, so the URL changes at the end of a drag only.
  $("cut").addEventListener("change", () => changeState({}, { replace: true }));
}
