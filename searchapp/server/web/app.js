// The page: one state, kept in the URL; whatever changes it goes through go(), and back does, too.

import { Problem, find, getFacets, getInfo, getPicture, original, thumbnail } from "./api.js";
import { drawFacets } from "./facets.js";
import { NO_FILTERS, appendFilters, filterKey, readFilters, setFilters } from "./filters.js";
import { keep, kept, offered } from "./pictures.js";
import { drawTimeline, listenToTimeline, onTimeline } from "./timeline.js";
import { $, drawLarge, fillFolders, fillYears, hideNotice, leaveFilm, notice } from "./views.js";
import { addFolder, isRoot, neighbour, plural, rounded, shown, tile } from "./views.js";

const EXAMPLES = ["a red boat at sunset", "two white sheep", "snow in the city"];
const NOTHING = {
  text: "", picture: null, similar: null, // the question
  ...NO_FILTERS, min: null, // what the answers must fulfil
  open: null, // the picture in the large view
};

let state = NOTHING;
let answer = null; // {key, hits, more, milliseconds, scroll}
let current = new AbortController(); // of the search under way
let paging = null; // the promise of the next page
let info = null;
let aboutLibrary = null; // the promise of it
const answers = new Map(); // by key, for going back

// --- state and URL -----------------------------------------------------------------------------

const NAMES = { q: "text", similar: "similar", min: "min", open: "open" };

function address(of) {
  const parameters = new URLSearchParams();
  for (const [name, field] of Object.entries(NAMES)) {
    if (of[field] !== "" && of[field] !== null) parameters.set(name, of[field]);
  }
  appendFilters(of, parameters);
  return parameters.size ? `?${parameters}` : location.pathname;
}

function read() {
  const parameters = new URLSearchParams(location.search);
  const filters = readFilters(parameters);
  const next = { ...NOTHING, ...filters, picture: kept(history.state?.picture) };
  for (const [name, field] of Object.entries(NAMES)) {
    const value = parameters.get(name);
    if (value === null) continue;
    if (typeof NOTHING[field] === "string") next[field] = value;
    else if (value !== "" && Number.isFinite(Number(value))) next[field] = Number(value);
  }
  return next;
}

// A picture that was dropped cannot be in the URL; the history's entry holds its number.
function go(change, { replace = false, viewing = history.state?.viewing && replace } = {}) {
  const next = { ...state, ...change };
  const entry = { picture: next.picture?.id, viewing: Boolean(viewing && next.open) };
  history[replace ? "replaceState" : "pushState"](entry, "", address(next));
  return show(next);
}

const asks = (of) => Boolean(of.text || of.picture || of.similar);

const key = (of) => JSON.stringify([of.text, of.similar, of.picture?.id, filterKey(of)]);

async function show(next, { again = false, back = false } = {}) {
  const before = state;
  state = next;
  drawForm();
  if (asks(next)) drawNarrowing(again);
  if (!asks(next)) showStart();
  else if (again || key(next) !== answer?.key) await search(back ? answers.get(key(next)) : null);
  else if (next.min !== before.min) applyCut();
  await showLarge();
}

// --- the question ------------------------------------------------------------------------------

function drawForm() {
  const { text, picture, similar } = state;
  document.body.classList.toggle("start", !asks(state));
  const like = picture ? picture.file.name : similar ? "a picture of the library" : "";
  document.title = asks(state) ? `${text || `like ${like}`} · searchapp` : "searchapp";
  if (text !== drawnText) $("words").value = drawnText = text; // words not asked yet stay
  $("words").placeholder = like ? "Add words" : "Describe a picture";
  drawClear();
  $("picture").hidden = !like;
  $("picture-name").textContent = like ? `Pictures like ${like}` : "";
  drawPreview(picture, similar);

  for (const name of ["folder", "after", "before", "near"]) $(name).value = state[name];
  $("taken").checked = state.taken;
  if ($("folder").value !== state.folder) addFolder(state.folder); // one that is shared, and gone
  const set = [...setFilters(state), ...(state.min === null ? [] : ["min"])];
  $("reset").hidden = set.length === 0;
  $("toggle-filters").classList.toggle("set", set.length > 0);
  const label = set.length ? `Filters, ${set.length} set` : "Filters";
  $("toggle-filters").setAttribute("aria-label", label);
}

// --- what it can be limited to -----------------------------------------------------------------

let facets = null; // {key, ...what the server counts}
let counting = new AbortController();

const narrow = (change) =>
  Object.keys(change).length ? go({ ...change, min: null }) : drawFacets(facets, state, narrow);

async function drawNarrowing(again) {
  const wanted = filterKey(state);
  counting.abort();
  if (facets?.key !== wanted || again) {
    counting = new AbortController();
    try {
      facets = { ...(await getFacets(state, counting.signal)), key: wanted };
    } catch {
      return; // the search says what is wrong
    }
  }
  drawFacets(facets, state, narrow);
  drawTimeline(facets.months, state);
  $("taken-field").hidden = !state.taken && !facets.months.some((month) => month.by_file);
}

let drawnText = "";
let previewed = null;

function drawPreview(picture, similar) {
  const of = picture ?? similar;
  if (of === previewed) return;
  previewed = of;
  URL.revokeObjectURL($("preview").src);
  $("picture").classList.remove("blind");
  if (picture) $("preview").src = URL.createObjectURL(picture.file);
  else if (similar) $("preview").src = thumbnail(similar, 320);
  else $("preview").removeAttribute("src");
}

const drawClear = () => ($("clear-words").hidden = !$("words").value);

async function take(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) {
    showProblem(new Problem(`${file.name} is not a picture`), null);
    return;
  }
  let picture;
  try {
    picture = await keep(file);
  } catch {
    showProblem(new Problem(`${file.name} cannot be read`), null); // a folder, for one
    return;
  }
  go({ picture, similar: null, text: $("words").value.trim(), min: null, open: null });
}

function ask() {
  const text = $("words").value.trim();
  if (matchMedia("(pointer: coarse)").matches) $("words").blur(); // puts the keyboard away
  if (text === state.text) show(state, { again: true });
  else go({ text, min: null });
}

// --- the answer --------------------------------------------------------------------------------

async function search(known) {
  current.abort();
  const { signal } = (current = new AbortController());
  const question = state;
  if (answer) answer.scroll = scrollY;
  paging = null;
  busy(true);
  try {
    if (!answer) {
      hideNotice();
      $("status").textContent = "Searching …";
    }
    const found = known ?? {
      ...(await patiently(question, 0, signal)),
      key: key(question),
      scroll: 0,
    };
    await aboutLibrary; // how folders are called depends on it
    if (signal.aborted) return;
    answer = found;
    answers.delete(found.key);
    answers.set(found.key, found);
    if (answers.size > 12) answers.delete(answers.keys().next().value);
    $("results").replaceChildren(...found.hits.map(drawTile));
    applyCut();
    scrollTo({ top: known ? found.scroll : 0, behavior: "instant" });
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(error, () => show(state, { again: true }));
  }
  busy(false);
}

function busy(is) {
  $("progress").hidden = !is;
  $("results").setAttribute("aria-busy", String(is));
}

// While the model starts, the server says when to ask again.
async function patiently(question, offset, signal) {
  for (;;) {
    try {
      return await find(question, offset, signal);
    } catch (error) {
      if (!error.retryAfter) throw error;
      clear();
      $("status").textContent = "";
      notice("waiting", {
        title: "The model is starting",
        text: "That takes some seconds, or a minute with a large one. The answer comes by itself.",
        code: error.message,
      });
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      signal.throwIfAborted();
    }
  }
}

function loadMore() {
  if (!answer?.more || paging) return paging;
  const [mine, { signal }] = [answer, current];
  $("more").textContent = "Loading …";
  paging = find(state, mine.hits.length, signal)
    .then((page) => {
      const there = new Set(mine.hits.map((hit) => hit.id)); // an index that grows shifts the pages
      const fresh = page.hits.filter((hit) => !there.has(hit.id));
      mine.more = page.more && fresh.length > 0;
      mine.hits.push(...fresh);
      if (answer !== mine) return;
      $("results").append(...fresh.map(drawTile));
      paging = null;
      applyCut();
    })
    .catch((error) => {
      if (answer !== mine || error.name === "AbortError") return;
      paging = null;
      $("more").textContent = "Try again";
      $("status").textContent = error.message;
    });
  return paging;
}

const drawTile = (hit) => tile(hit, address({ ...state, open: hit.id }));
const fulfils = (hit) => state.min === null || rounded(hit.score) >= state.min;

// The cut hides what is there already: hits come best first, so that it needs no new search.
function applyCut() {
  const { hits, more, milliseconds } = answer;
  const visible = hits.filter(fulfils).length;
  [...$("results").children].forEach((item, i) => (item.hidden = i >= visible));
  const goesOn = more && visible === hits.length;
  $("more").hidden = !goesOn;
  $("more").textContent = "Show more";
  nearEnd.unobserve($("more"));
  if (goesOn) nearEnd.observe($("more")); // anew, for it tells only of changes

  const scores = hits.filter((hit) => hit.id !== state.similar).map((hit) => rounded(hit.score));
  const lowest = Math.min(scores.at(-1) ?? 0, state.min ?? Infinity);
  const cut = state.min === null ? "" : shown(state.min);
  Object.assign($("cut"), {
    min: lowest,
    max: Math.max(scores[0] ?? 1, state.min ?? -1),
    value: state.min ?? lowest,
    disabled: scores.length < 2 && !cut,
  });
  $("cut").setAttribute("aria-valuetext", cut ? `at least ${cut}` : "any score");
  $("cut-value").textContent = cut ? `≥ ${cut}` : "any";
  const least = cut && ` with a score of ${cut} or more`;
  $("status").textContent =
    `${plural(visible, "picture")}${goesOn ? " so far" : ""}${least}, best first` +
    (answer.good_match === false ? " · none is a good match" : "") +
    ` · ${Math.round(milliseconds)} ms`;
  if (visible) return hideNotice();
  $("status").textContent = "";
  if (hits.length) {
    notice("empty", {
      title: "Nothing comes that near",
      text: `No picture has a score of ${cut} or more; the best has ${shown(hits[0].score)}.`,
      actions: [["Show them anyway", () => go({ min: null })]],
    });
  } else if (setFilters(state).length) {
    notice("empty", {
      title: "No pictures there",
      text: "No picture fulfils all the filters together.",
      actions: [["Search everywhere", resetFilters]],
    });
  } else showEmptyLibrary();
}

function clear() {
  $("results").replaceChildren();
  $("more").hidden = true;
  answer = null;
}

function showStart() {
  current.abort();
  busy(false);
  $("status").textContent = "";
  clear();
  if (info && !info.images) return showEmptyLibrary();
  if (history.state?.picture) {
    notice("empty", { title: "The picture is no longer here", text: "Drop it again, or pick it." });
    return;
  }
  const { images, folders } = info ?? {};
  const held = info ? `${plural(images, "picture")} in ${plural(folders.length, "folder")}. ` : "";
  notice("hello", {
    text: `${held}Say what you are looking for, or drop, paste or pick a picture like it.`,
    actions: EXAMPLES.map((text) => [text, () => go({ text })]),
  });
}

function showEmptyLibrary() {
  notice("empty", {
    title: "There are no pictures here yet",
    text: "Index a folder in a terminal, then look again:",
    code: "searchapp index ~/Pictures",
    actions: [["Look again", () => location.reload()]],
  });
}

function showProblem(error, retry) {
  if (!(error instanceof Problem)) console.error(error);
  clear();
  $("status").textContent = "";
  document.body.classList.remove("start");
  notice("problem", {
    title: "That did not work",
    text: error.message,
    actions: retry ? [["Try again", retry]] : [["Back", () => show(state, { again: true })]],
  });
}

function resetFilters() {
  go({ ...NO_FILTERS, min: null });
}

// --- the large view ----------------------------------------------------------------------------

let large = null; // the picture in it
const near = () => answer?.hits.filter(fulfils) ?? [];

async function showLarge() {
  const dialog = $("large");
  const id = state.open;
  if (id === null) {
    if (dialog.open) dialog.close();
    return;
  }
  const hits = near();
  const index = hits.findIndex((hit) => hit.id === id);
  let hit = hits[index];
  try {
    hit ??= await getPicture(id); // shared, or from a later page
  } catch (error) {
    if (state.open === id) {
      go({ open: null }, { replace: true });
      $("status").textContent = error.message;
    }
    return;
  }
  if (state.open !== id || !hit) return;
  const among = index >= 0;
  large = hit;
  drawLarge(hit, {
    score: among ? hit.score : null,
    position: among ? `${index + 1} of ${hits.length}${answer.more ? "+" : ""}` : "",
  });
  $("like").href = address({ ...NOTHING, similar: id });
  $("only-folder").href = address({ ...state, folder: hit.folder, open: null });
  $("only-folder").hidden = !asks(state) || state.folder === hit.folder || isRoot(hit.folder);
  $("previous").hidden = !(index > 0);
  $("next").hidden = !among || (index === hits.length - 1 && $("more").hidden);
  $("copy-label").textContent = "Copy path";
  if (!dialog.open) {
    dialog.showModal();
    $("large-name").focus();
  }
  for (const other of [hits[index + 1], hits[index - 1]]) {
    if (among && other) new Image().src = original(other.id); // so that the arrows show it at once
  }
}

async function step(by) {
  const index = near().findIndex((hit) => hit.id === state.open);
  if (index < 0) return;
  if (!near()[index + by] && by > 0 && !$("more").hidden) await loadMore();
  const hit = near()[index + by];
  if (hit) go({ open: hit.id }, { replace: true });
}

// Escape and the button go back where a click opened it: "back" must not open it again.
function leaveLarge() {
  leaveFilm();
  if (state.open === null) return; // closed by a change of the state
  const item = $("results").querySelector(`[data-id="${state.open}"] a`);
  if (history.state?.viewing) history.back();
  else go({ open: null }, { replace: true });
  item?.focus({ preventScroll: true });
  item?.scrollIntoView({ block: "nearest" });
}

async function copyPath() {
  const path = $("path");
  let copied = true;
  try {
    await navigator.clipboard.writeText(path.textContent);
  } catch {
    getSelection().selectAllChildren(path); // without TLS, other machines have no clipboard API
    copied = document.execCommand("copy");
  }
  $("copy-label").textContent = copied ? "Copied" : "Select it to copy";
  $("large-status").textContent = copied ? "The path is copied" : "The path cannot be copied";
}

// --- what the user does ------------------------------------------------------------------------

const on = (id, type, act) => $(id).addEventListener(type, act);

on("ask", "submit", (event) => {
  event.preventDefault();
  ask();
});
on("words", "input", drawClear);
on("clear-words", "click", () => {
  $("words").value = "";
  $("words").focus();
  if (state.text) go({ text: "", min: null });
  else drawClear();
});
on("remove-picture", "click", () => {
  $("words").focus();
  go({ picture: null, similar: null, text: $("words").value.trim(), min: null });
});
on("preview", "error", () => $("picture").classList.add("blind")); // as with TIFF

on("folder", "change", () => go({ folder: $("folder").value, min: null }));
for (const name of ["after", "before", "near"]) {
  on(name, "change", () => {
    const valid = $(name).checkValidity();
    $(name).setAttribute("aria-invalid", String(!valid));
    if (valid) go({ [name]: $(name).value.trim(), min: null });
  });
}
on("taken", "change", () => narrow({ taken: $("taken").checked }));
onTimeline((dates) => {
  // A second click on what is chosen alone takes the choice back.
  const same = dates.after === state.after && dates.before === state.before;
  narrow(same ? { after: "", before: "" } : dates);
});
on("all-years", "click", () => {
  narrow({ after: "", before: "" });
  $("results").focus({ preventScroll: true }); // the button goes away
});
on("cut", "input", () => {
  const { value, min } = $("cut");
  state = { ...state, min: Number(value) <= Number(min) ? null : Number(value) };
  drawForm();
  applyCut();
});
on("cut", "change", () => go({}, { replace: true })); // few URLs a second are allowed
on("reset", "click", () => {
  resetFilters();
  $("results").focus({ preventScroll: true }); // the button goes away
});
on("toggle-filters", "click", () => {
  const open = document.body.classList.toggle("filtering");
  $("toggle-filters").setAttribute("aria-expanded", String(open));
});

on("skip", "click", (event) => {
  event.preventDefault(); // the URL is the state's
  $("results").focus();
});
on("more", "click", loadMore);
const nearEnd = new IntersectionObserver(
  (entries) => entries.some((entry) => entry.isIntersecting) && loadMore(),
  { rootMargin: "800px" },
);

const plain = (event) =>
  !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

on("results", "click", (event) => {
  const link = event.target.closest("a");
  if (!link || !plain(event)) return; // a new tab gets what the link says
  event.preventDefault();
  go({ open: Number(link.parentElement.dataset.id) }, { viewing: true });
});
on("like", "click", (event) => {
  if (!plain(event)) return;
  event.preventDefault();
  go({ ...NOTHING, similar: state.open });
  $("results").focus({ preventScroll: true });
});
on("only-folder", "click", (event) => {
  if (!plain(event)) return;
  event.preventDefault();
  go({ folder: large.folder, min: null, open: null });
  $("results").focus({ preventScroll: true });
});
on("close", "click", () => $("large").close());
on("large", "close", leaveLarge);
on("stage", "click", (event) => event.target === $("stage") && $("large").close());
on("previous", "click", () => step(-1));
on("next", "click", () => step(1));
on("copy", "click", copyPath);

let touched = null; // where a finger came down
on("stage", "touchstart", (event) => {
  touched = event.touches.length === 1 ? event.touches[0].clientX : null;
});
on("stage", "touchend", (event) => {
  const moved = touched === null ? 0 : event.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 50 && visualViewport.scale === 1) step(moved < 0 ? 1 : -1);
});

addEventListener("keydown", (event) => {
  if (!plain(event)) return;
  const typing = event.target.matches("input, select, textarea");
  const inGrid = event.target.closest("#results li");
  const way = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 }[event.key];
  if ($("large").open) {
    if (event.target.matches("video")) return; // there they wind
    if (Math.abs(way) === 1) step(way);
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    $("words").select();
  } else if (inGrid && way) {
    event.preventDefault();
    neighbour(inGrid, way)?.querySelector("a").focus();
  } else if (event.target === $("words") && event.key === "ArrowDown") {
    $("results").querySelector("li:not([hidden]) a")?.focus();
  }
});

offered(take);
listenToTimeline();
addEventListener("popstate", () => show(read(), { back: true }));

history.scrollRestoration = "manual";
aboutLibrary = getInfo()
  .then((it) => {
    info = it;
    fillFolders(info.folders);
    fillYears(info.first_date ?? "", info.last_date ?? "");
    $("folder").value = state.folder;
    if (!asks(state) && $("notice").className !== "problem") showStart();
  })
  .catch((error) => asks(state) || showProblem(error, () => location.reload()));
show(read());
