// Facts of the library that all parts of the page need before they draw.

import { getInfo } from "./api.js";
import { findRootFolder } from "./views.js";

let loaded = null; // promise
let isOnDesktop = false; // the server can open folders for this browser
let modelState = ""; // when the page was loaded; "": not known yet

// Load the folders of the library once: their common root shortens the names of folders.
export function loadLibrary() {
  loaded ??= getInfo().then((info) => {
    findRootFolder(info.folders);
    isOnDesktop = info.can_open_folders;
    modelState = info.model_state;
  });
  loaded.catch(() => (loaded = null)); // the next call tries again
  return loaded;
}

export const isLibraryLoaded = () => modelState !== "";

export const getModelState = () => loadLibrary().then(() => modelState, () => "");

// Whether the folder of a picture can be opened: the page and the picture are on one computer.
export const canOpenFolders = ({ path }) => isOnDesktop && !/^[a-z0-9]+:\/\//.test(path);
