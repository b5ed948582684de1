// The search field: words, a picture to search with, or both.

import { thumbnailUrl } from "./api.js";
import { NO_EXAMPLES } from "./examples.js";
import { changeState, getState, showAgain } from "./navigation.js";
import { listenForPictures, storePicture } from "./pictures.js";
import { NO_VIEW, hasQuery } from "./state.js";
import { drawPart } from "./part_preview.js";
import { hideSuggestions, rememberQuestion } from "./suggestions.js";
import { text as findText } from "./texts.js";
import { showToast } from "./toast.js";
import { $ } from "./views.js";

const NEW_QUERY = { ...NO_VIEW, saved: "", min: null, rest: null, open: null };

let drawnText = "";
let previewed = null;

export function drawForm(state) {
  const { text, picture, similar, region } = state;
  const inLibrary = findText(region ? "library_part" : "library_picture");
  const like = picture ? picture.file.name : similar ? inLibrary : "";
  const title = text || state.saved || findText("like", like);
  document.title = hasQuery(state) ? `${title} · searchapp` : "searchapp";
  // An unchanged query keeps words that are typed, but not submitted.
  if (text !== drawnText) $("words").value = drawnText = text;
  $("words").placeholder = findText(like ? "add_words" : "describe");
  drawClearButton();
  $("picture").hidden = !like;
  $("picture-name").textContent = like ? findText("pictures_like", like) : "";
  drawPreview(picture, similar, region);
}

function drawPreview(picture, similar, region) {
  const source = picture ?? (similar && `${similar} ${region}`);
  if (source === previewed) return;
  previewed = source;
  URL.revokeObjectURL($("preview").src);
  $("picture").classList.remove("blind");
  if (picture) $("preview").src = URL.createObjectURL(picture.file);
  else if (similar && region) drawPart($("preview"), thumbnailUrl({ id: similar }, 640), region);
  else if (similar) $("preview").src = thumbnailUrl({ id: similar }, 320);
  else $("preview").removeAttribute("src");
}

const drawClearButton = () => ($("clear-words").hidden = !$("words").value);

async function searchWithPicture(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) {
    showToast(findText("not_a_picture", file.name));
    return;
  }
  let picture;
  try {
    picture = await storePicture(file);
  } catch {
    showToast(findText("unreadable", file.name));
    return;
  }
  if (!picture) return;
  changeState({ ...NEW_QUERY, ...NO_EXAMPLES, picture, similar: null, text: $("words").value.trim() });
}

export function submitQuestion() {
  const text = $("words").value.trim();
  hideSuggestions();
  rememberQuestion(text);
  if (matchMedia("(pointer: coarse)").matches) $("words").blur(); // hides the on-screen keyboard
  if (text === getState().text && !getState().view) showAgain();
  else changeState({ ...NEW_QUERY, text });
}

export function listenToForm() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    submitQuestion();
  });
  $("words").addEventListener("input", drawClearButton);
  $("clear-words").addEventListener("click", () => {
    $("words").value = "";
    $("words").focus();
    if (getState().text) changeState({ ...NEW_QUERY, text: "" });
    else drawClearButton();
  });
  $("remove-picture").addEventListener("click", () => {
    $("words").focus();
    const text = $("words").value.trim();
    changeState({ ...NEW_QUERY, picture: null, similar: null, region: "", text });
  });
  $("preview").addEventListener("error", () => $("picture").classList.add("blind")); // TIFF
  listenForPictures(searchWithPicture);
}
