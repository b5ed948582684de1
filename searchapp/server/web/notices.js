// Notices: texts that are shown instead of pictures, such as an empty result or an error.

import { capitalize, text as findText } from "./texts.js";
import { $, createElement } from "./views.js";

export function showNotice(kind, { title = "", text = "", code = "", actions = [] } = {}) {
  const section = $("notice");
  section.hidden = false;
  section.className = kind;
  $("notice-title").textContent = title;
  $("notice-title").hidden = !title;
  $("notice-text").textContent = text;
  $("notice-code").textContent = code;
  $("notice-code").hidden = !code;
  $("notice-actions").replaceChildren(
    ...actions.map(([label, action]) => {
      const button = createElement("button", {
        type: "button", className: "button", textContent: label,
      });
      button.addEventListener("click", action);
      return createElement("li", {}, button);
    }),
  );
}

// Show why no picture can match, as the server tells it.
export function drawWarnings(warnings) {
  $("warnings").hidden = !warnings.length;
  $("warnings").replaceChildren(
    ...warnings.map((warning) => createElement("p", { textContent: capitalize(warning) })),
  );
}

export const hideNotice = () => ($("notice").hidden = true);

export function showEmptyLibrary() {
  showNotice("empty", {
    title: findText("empty_library"),
    text: findText("empty_library_text"),
    code: "searchapp index ~/Pictures",
    actions: [[findText("reload"), () => location.reload()]],
  });
}
