// The ways in which a picture comes to the page: picked, dropped anywhere, or pasted.

import { $ } from "./views.js";

const LARGEST = 3_000_000; // bytes of a picture that outlives a reload; a session holds 5 million
const pictures = new Map(); // {id, file} by id

// The history itself would take a file, but Chromium gives it back as null when one goes back.
export async function keep(file) {
  // A copy in memory: the file may change or go away, and the question would with it.
  const bytes = new Uint8Array(await file.arrayBuffer());
  const { name, type } = file;
  const id = Date.now();
  pictures.set(id, { id, file: new File([bytes], name || "pasted picture", { type }) });
  if (bytes.length <= LARGEST) {
    try {
      const data = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      sessionStorage.setItem("picture", JSON.stringify({ id, name, type, data }));
    } catch {
      // Full or forbidden: it is gone after a reload, and the page says so.
    }
  }
  return pictures.get(id);
}

export function kept(id) {
  if (!id || pictures.has(id)) return pictures.get(id) ?? null;
  const { data, name, type, ...rest } = JSON.parse(sessionStorage.getItem("picture") ?? "{}");
  if (rest.id !== id) return null;
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  pictures.set(id, { id, file: new File([bytes], name || "pasted picture", { type }) });
  return pictures.get(id);
}

export function offered(take) {
  // A drag enters and leaves each element on its way: it is over when it left them all.
  let over = 0;
  const brings = (event) => event.dataTransfer?.types.includes("Files");
  const drag = (change) => (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    over = change === 0 ? 0 : over + change;
    $("drop").hidden = over <= 0;
  };
  addEventListener("dragenter", drag(1));
  addEventListener("dragleave", drag(-1));
  addEventListener("dragover", (event) => brings(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    drag(0)(event);
    if (brings(event)) take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return; // words go where the cursor is
    event.preventDefault();
    take(file);
  });

  $("pick").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    take($("file").files[0]);
    $("file").value = ""; // so that the same file can be picked again
  });
}
