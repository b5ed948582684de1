// Notices: texts that are shown instead of pictures, such as an empty result or an error.

import { $, createElement } from "./views.js";

export function showNotice(kind, { title = "", text = "", code = "", actions = [] } = {}) {
  const section = $("notice");
  section.hidden = false;
  section.className = kind;
  $("notice-title").textContent = title;
  $("notice-title").hidden = !title;
  $("notice-text").textContent = text.charAt(0).toUpperCase() + text.slice(1);
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

export const hideNotice = () => ($("notice").hidden = true);

export function showEmptyLibrary() {
  showNotice("empty", {
    title: "The library has no pictures",
    text: "Index a folder in a terminal, then reload the page:",
    code: "searchapp index ~/Pictures",
    actions: [["Reload", () => location.reload()]],
  });
}
