// The search field: words, a picture to search with, or both.

import { Problem, thumbnailUrl } from "./api.js";
import { showProblem } from "./gallery.js";
import { changeState, getState, showAgain } from "./navigation.js";
import { listenForPictures, storePicture } from "./pictures.js";
import { hasQuery } from "./state.js";
import { hideSuggestions, rememberQuestion } from "./suggestions.js";
import { $ } from "./views.js";

const NEW_QUERY = { min: null, rest: null, open: null };

let drawnText = "";
let previewed = null;

export function drawForm(state) {
  const { text, picture, similar } = state;
  const like = picture ? picture.file.name : similar ? "a picture in the library" : "";
  document.title = hasQuery(state) ? `${text || `like ${like}`} · searchapp` : "searchapp";
  // An unchanged query keeps words that are typed, but not submitted.
  if (text !== drawnText) $("words").value = drawnText = text;
  $("words").placeholder = like ? "Add words" : "Describe a picture";
  drawClearButton();
  $("picture").hidden = !like;
  $("picture-name").textContent = like ? `Pictures like ${like}` : "";
  drawPreview(picture, similar);
}

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
  changeState({ ...NEW_QUERY, picture, similar: null, text: $("words").value.trim() });
}

export function submitQuestion() {
  const text = $("words").value.trim();
  hideSuggestions();
  rememberQuestion(text);
  if (matchMedia("(pointer: coarse)").matches) $("words").blur(); // hides the on-screen keyboard
  if (text === getState().text) showAgain();
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
    changeState({ ...NEW_QUERY, picture: null, similar: null, text: $("words").value.trim() });
  });
  $("preview").addEventListener("error", () => $("picture").classList.add("blind")); // TIFF
  listenForPictures(searchWithPicture);
}
