// The chosen filters above the pictures; a click on one removes it.

import { thumbnailUrl } from "./api.js";
import { listExampleChips } from "./examples.js";
import { listChips } from "./filters.js";
import { text } from "./texts.js";
import { $, createElement, createIcon } from "./views.js";

const MAX_THUMBNAILS = 3; // of the pictures that a chip stands for

// change: called with the changed filters. reset: called to remove all filters.
export function drawChips(state, change, reset) {
  const filterChips = listChips(state);
  const listed = [...listExampleChips(state), ...filterChips];
  const chips = listed.map(({ kind, value, title, ids = [], change: removal }) => {
    const button = createElement(
      "button",
      { type: "button", className: "chip", title: text("remove", title) },
      createElement("span", { className: "chip-kind", textContent: kind }),
      ...ids.slice(0, MAX_THUMBNAILS).map((id) =>
        createElement("img", { src: thumbnailUrl({ id }, 320), alt: "" }),
      ),
      createElement("bdi", { textContent: value }),
    );
    button.setAttribute("aria-label", text("remove_filter", kind, value));
    button.append(createIcon("close"));
    button.addEventListener("click", () => {
      const position = [...$("chips").children].indexOf(button.parentElement);
      change(removal);
      const buttons = $("chips").querySelectorAll("button");
      (buttons[position] ?? buttons[position - 1] ?? $("results")).focus({ preventScroll: true });
    });
    return createElement("li", {}, button);
  });
  if (filterChips.length) {
    const button = createElement("button", {
      type: "button", className: "text-button", textContent: text("reset_filters"),
    });
    button.addEventListener("click", () => {
      reset();
      $("results").focus({ preventScroll: true }); // the button disappears
    });
    chips.push(createElement("li", {}, button));
  }
  $("chips").hidden = chips.length === 0;
  $("chips").replaceChildren(...chips);
}
