// The chosen filters above the pictures; a click on one removes it.

import { listChips } from "./filters.js";
import { $, createElement, createIcon } from "./views.js";

// change: called with the changed filters. reset: called to remove all filters.
export function drawChips(state, change, reset) {
  const chips = listChips(state).map(({ kind, text, title, change: removal }) => {
    const button = createElement(
      "button",
      { type: "button", className: "chip", title: `Remove: ${title}` },
      createElement("span", { className: "chip-kind", textContent: kind }),
      createElement("bdi", { textContent: text }),
    );
    button.setAttribute("aria-label", `Remove the filter ${kind}: ${text}`);
    button.append(createIcon("close"));
    button.addEventListener("click", () => {
      const position = [...$("chips").children].indexOf(button.parentElement);
      change(removal);
      const buttons = $("chips").querySelectorAll("button");
      (buttons[position] ?? buttons[position - 1] ?? $("results")).focus({ preventScroll: true });
    });
    return createElement("li", {}, button);
  });
  if (chips.length) {
    const button = createElement("button", {
      type: "button", className: "text-button", textContent: "Reset filters",
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
