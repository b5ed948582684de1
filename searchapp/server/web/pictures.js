// Pictures to search with: chosen, dropped anywhere on the page, or pasted.

import { text } from "./texts.js";
import { $ } from "./views.js";

const MAX_STORED_BYTES = 3_000_000; // a reload loses larger pictures: sessionStorage holds 5 MB
const pictures = new Map(); // id -> {id, file}
let newestFile = null;

// Keep a picture for this session, and return {id, file}; null if another picture came while this one
// was read. Rejects if the file cannot be read.
// history.state could hold the file, but Chromium returns null for it after going back.
export async function storePicture(file) {
  // A copy in memory, because the file may change or be deleted while the query is shown.
  newestFile = file;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (newestFile !== file) return null;
  const { name, type } = file;
  const id = Date.now();
  pictures.set(id, { id, file: new File([bytes], name || text("pasted_picture"), { type }) });
  if (bytes.length <= MAX_STORED_BYTES) {
    try {
      const data = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      sessionStorage.setItem("picture", JSON.stringify({ id, name, type, data }));
    } catch {
      // The storage is full or disabled: after a reload, the page says that the picture is lost.
    }
  }
  return pictures.get(id);
}

// Return {id, file} of a stored picture, or null if it is lost.
export function loadPicture(id) {
  if (!id || pictures.has(id)) return pictures.get(id) ?? null;
  const { data, name, type, ...rest } = JSON.parse(sessionStorage.getItem("picture") ?? "{}");
  if (rest.id !== id) return null;
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  pictures.set(id, { id, file: new File([bytes], name || text("pasted_picture"), { type }) });
  return pictures.get(id);
}

// Call onPicture(file) for each picture that the user chooses, drops or pastes.
export function listenForPictures(onPicture) {
  // A drag enters and leaves each element on its way; it has ended when it has left all of them.
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const onDrag = (change) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = change === 0 ? 0 : depth + change;
    // The large view covers all else, and only its frame is shown in full screen.
    ($("large").open ? $("large-frame") : document.body).append($("drop"));
    $("drop").hidden = depth <= 0;
  };
  addEventListener("dragenter", onDrag(1));
  addEventListener("dragleave", onDrag(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    onDrag(0)(event);
    if (hasFiles(event)) onPicture(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return; // pasted text goes into the focused field
    event.preventDefault();
    onPicture(file);
  });

  $("pick").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    onPicture($("file").files[0]);
    $("file").value = ""; // so that choosing the same file again is a change
  });
}
