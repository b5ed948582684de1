// Actions of the large view: each has a button, and most have a key. Other modules can add actions.

import { Problem, openFolder, originalUrl } from "./api.js";
import { toggleInfo } from "./info_panel.js";
import { canOpenFolders } from "./library_info.js";
import { changeState } from "./navigation.js";
import { EMPTY_STATE, makeStateUrl } from "./state.js";
import { text } from "./texts.js";
import { showToast } from "./toast.js";
import { $, createElement, createIcon, isPlain } from "./views.js";
import { zoomIn, zoomOut } from "./zoom.js";

const showSimilar = (picture) => ({ ...EMPTY_STATE, similar: picture.id });

// id, icon and label (a key of texts.js): of the button. key: shown in its tooltip. Optional: href(picture) of a link,
// download(picture): name of the file that the link saves, run(picture): what a plain click does,
// isShown(picture), isMain: the button has a text.
const actions = [
  {
    id: "like", icon: "like", label: "like_this", key: "m", isMain: true,
    href: (picture) => makeStateUrl(showSimilar(picture)),
    run(picture) {
      changeState(showSimilar(picture));
      $("results").focus({ preventScroll: true });
    },
  },
  { id: "zoom-in", icon: "plus", label: "zoom_in", key: "+", run: zoomIn },
  { id: "zoom-out", icon: "minus", label: "zoom_out", key: "-", run: zoomOut },
  { id: "copy", icon: "copy", label: "copy_path", key: "c", run: copyPath },
  {
    id: "open-folder", icon: "folder", label: "open_folder", key: "o",
    isShown: canOpenFolders, run: showFolder,
  },
  {
    id: "download", icon: "download", label: "download", key: "d",
    href: originalUrl, download: (picture) => picture.name,
  },
  {
    id: "full-screen", icon: "full-screen", label: "full_screen", key: "f",
    isShown: () => document.fullscreenEnabled, run: toggleFullScreen,
  },
  { id: "info", icon: "info", label: "information", key: "i", run: toggleInfo },
];

// Add an action before another one.
export function addLargeAction(action, beforeId = "copy") {
  actions.splice(actions.findIndex(({ id }) => id === beforeId), 0, action);
}

// Draw the buttons for a picture. Buttons stay in the document, so that they keep the focus.
export function drawActions(picture) {
  for (const action of actions) {
    const button = $(action.id) ?? addButton(action);
    button.onclick = (event) => useButton(event, action, picture);
    if (action.href) button.href = action.href(picture);
    if (action.download) button.download = action.download(picture);
    button.parentElement.hidden = !(action.isShown?.(picture) ?? true);
  }
}

function addButton({ id, icon, label: textKey, key, href, isMain }) {
  const label = text(textKey);
  const button = createElement(href ? "a" : "button", {
    id, className: isMain ? "button" : "icon", title: key ? `${label} (${key})` : label,
  });
  if (!href) button.type = "button";
  button.setAttribute("aria-label", label);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  button.append(createIcon(icon));
  if (isMain) button.append(createElement("span", { textContent: label }));
  $("large-actions").append(createElement("li", {}, button));
  return button;
}

function useButton(event, action, picture) {
  if (!action.run || !isPlain(event)) return; // the browser follows the link
  event.preventDefault();
  action.run(picture);
}

// Use the action of a key; return whether there is one.
export function useActionKey(key) {
  const action = actions.find((other) => other.key === key);
  const button = action && $(action.id);
  if (!button || button.parentElement.hidden) return false;
  button.click();
  return true;
}

async function copyPath({ path }) {
  try {
    await navigator.clipboard.writeText(path);
    showToast(text("path_copied"));
  } catch {
    toggleInfo(null, true); // the clipboard API needs TLS or localhost
    getSelection().selectAllChildren($("path"));
    const isCopied = document.execCommand("copy");
    showToast(text(isCopied ? "path_copied" : "path_selected"));
  }
}

async function showFolder(picture) {
  try {
    await openFolder(picture);
    showToast(text("folder_opened"));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showToast(error.message);
  }
}

// The dialog itself cannot be in full screen: https://fullscreen.spec.whatwg.org/#dom-element-requestfullscreen
function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("large-frame").requestFullscreen().catch(() => showToast(text("no_full_screen")));
}
