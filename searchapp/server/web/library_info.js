// Facts of the library that all parts of the page need before they draw.

import { getInfo } from "./api.js";
import { findRootFolder } from "./views.js";

let loaded = null; // promise
let isOnDesktop = false; // the server can open folders for this browser

// Load the folders of the library once: their common root shortens the names of folders.
export function loadLibrary() {
  loaded ??= getInfo().then(({ folders, can_open_folders: canOpen }) => {
    findRootFolder(folders);
    isOnDesktop = canOpen;
  });
  loaded.catch(() => (loaded = null)); // the next call tries again
  return loaded;
}

// Whether the folder of a picture can be opened: the page and the picture are on one computer.
export const canOpenFolders = ({ path }) => isOnDesktop && !/^[a-z0-9]+:\/\//.test(path);
