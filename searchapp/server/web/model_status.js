// A line above the pictures while the model loads: filters and pictures work meanwhile.

import { isModelLoading } from "./api.js";
import { getModelState } from "./library_info.js";
import { text } from "./texts.js";
import { $ } from "./views.js";

const PAUSE_MS = 1000;

// Show the line until the model is loaded, or cannot be loaded: then a question tells why.
export async function showModelStatus() {
  const line = $("model-status");
  if ((await getModelState()) !== "loading") return;
  line.textContent = text("model_loading");
  line.hidden = false;
  do await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  while (await isModelLoading());
  line.hidden = true;
}
