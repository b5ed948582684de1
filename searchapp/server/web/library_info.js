// Facts of the library that all parts of the page need before they draw.

import { getInfo } from "./api.js";
import { findRootFolder } from "./views.js";

let loaded = null; // promise

// Load the folders of the library once: their common root shortens the names of folders.
export function loadLibrary() {
  loaded ??= getInfo().then(({ folders }) => findRootFolder(folders));
  loaded.catch(() => (loaded = null)); // the next call tries again
  return loaded;
}
