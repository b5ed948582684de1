// The information beside the picture in the large view: facts, copies, and a small map.

import { getPictureDetails } from "./api.js";
import { toggleValue } from "./filters.js";
import { isShown } from "./large_view.js";
import { markWords } from "./marks.js";
import { changeFilters, getState } from "./navigation.js";
import { makeStateUrl } from "./state.js";
import { text } from "./texts.js";
import { $, createElement, formatClock, formatDate, formatScore } from "./views.js";
import { isPlain, isRootFolder, isVideoFrame } from "./views.js";
import { UNITS, toX, toY } from "./world_units.js";

const FULL_DATE = { dateStyle: "full", timeStyle: "short" };
const MAX_RATING = 5;
const MAP_WIDTH = 60 * UNITS;
const NEAR_KM = 5;
const DATE_SOURCES = { exif: "EXIF", xmp: "XMP", iptc: "IPTC", json: "Google Takeout" };
const isNarrow = matchMedia("(max-width: 900px)");

// Show or hide the panel, and remember the choice for wide windows.
export function toggleInfo(_picture, isShown = $("info-panel").hidden) {
  setShown(isShown);
  if (isNarrow.matches) return; // on a small screen, the panel covers a part of the picture
  try {
    localStorage.setItem("info", isShown ? "shown" : "hidden");
  } catch {
    // Without storage, the choice lasts until the view is closed.
  }
}

function setShown(isShown) {
  $("info-panel").hidden = !isShown;
  $("info")?.setAttribute("aria-expanded", String(isShown));
}

// Show the panel as the user left it; on a small screen, the picture has the space.
export function restoreInfo() {
  let choice = null;
  try {
    choice = localStorage.getItem("info");
  } catch {
    // The storage is disabled.
  }
  setShown(!isNarrow.matches && choice !== "hidden");
  $("info")?.setAttribute("aria-controls", "info-panel");
}

// score: null if the picture is not one of the results.
export async function drawInfo(picture, score) {
  drawFacts(picture, score);
  drawPlace(picture);
  drawFolderLink(picture);
  const details = await getPictureDetails(picture.id).catch(() => null); // the rest is known already
  if (details && isShown(picture)) drawFacts({ ...details, ...picture }, score);
}

function drawFacts(picture, score) {
  $("facts").replaceChildren(
    ...listFacts(picture, score)
      .filter(([, ...values]) => values.some(Boolean))
      .map(([name, ...values]) =>
        createElement(
          "div", {}, createElement("dt", { textContent: name }),
          ...values.map((value) => createElement("dd", {}, value)),
        ),
      ),
  );
}

function listFacts(picture, score) {
  const source = DATE_SOURCES[picture.date_from];
  const date = picture.date ? formatDate(picture.date, FULL_DATE) : "";
  const makePath = (path, id = "") => createElement("bdi", { textContent: path, id });
  const { width, height } = picture;
  const pixels = text("pixels", width, height);
  const megapixels = (width * height) / 1e6;
  const places = new Set([picture.city, picture.region, picture.country].filter(Boolean));
  return [
    [text("matches"), ...(picture.match ?? []).map(makeReason)],
    [text("score"), score === null ? "" : formatScore(score)],
    [text("title"), picture.title],
    [text("description"), picture.description],
    [
      text(picture.date_from === "file" ? "file_date" : "taken"),
      date && source ? text("date_source", date, source) : date,
    ],
    [text("video_time"), isVideoFrame(picture) ? formatClock(picture.seconds) : ""],
    [text("other_times"), (picture.moments ?? []).map(formatClock).join(", ")],
    [text("rating"), formatStars(picture.rating)],
    [text("keywords"), picture.keywords.length ? makeKeywordList(picture.keywords) : ""],
    [text("camera"), picture.camera],
    [text("lens"), picture.lens],
    [text("place"), [...places].join(", ")],
    [text("place_source"), places.size ? makeCredit() : ""],
    [text("size"), megapixels < 0.1 ? pixels : text("megapixels", pixels, megapixels)],
    [text("file_kind"), picture.format ? text("file_size", picture.format, picture.file_bytes) : ""],
    [text("path"), makePath(picture.path, "path")],
    [text("copies", picture.also.length), ...picture.also.map((path) => makePath(path))],
    [text("companions"), ...picture.companions.map((path) => makePath(path))],
  ];
}

// Return one reason of a match, with the words of the question marked.
function makeReason({ by, snippet }) {
  const reason = createElement("span", { className: "reason" }, text(`match_${by}`));
  const question = getState().text;
  if (snippet) reason.append(": ", createElement("q", {}, ...markWords(snippet, question)));
  return reason;
}

// A click on a keyword filters by it.
function makeKeywordList(keywords) {
  const items = keywords.map((keyword) => {
    const change = { ...toggleValue({ keyword: [] }, "keyword", keyword), open: null };
    const link = createElement("a", { textContent: keyword });
    followWithin(link, change);
    return createElement("li", {}, link);
  });
  return createElement("ul", { className: "keywords" }, ...items);
}

// The license of GeoNames asks for a credit where the names are shown.
function makeCredit() {
  const link = { href: "https://www.geonames.org", rel: "noreferrer", textContent: "GeoNames" };
  return createElement("span", {}, createElement("a", link), ", CC BY 4.0");
}

function formatStars(rating) {
  if (!rating) return "";
  return rating < 0 ? text("rejected") : "★".repeat(rating) + "☆".repeat(MAX_RATING - rating);
}

function drawPlace({ latitude, longitude }) {
  const isKnown = latitude !== null && longitude !== null;
  $("info-place").hidden = !isKnown;
  if (!isKnown) return;
  const [x, y] = [toX(longitude), toY(latitude)];
  const height = MAP_WIDTH / 2;
  $("info-map").setAttribute("viewBox", `${x - MAP_WIDTH / 2} ${y - height / 2} ${MAP_WIDTH} ${height}`);
  $("info-dot").setAttribute("cx", x);
  $("info-dot").setAttribute("cy", y);
  const place = `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
  $("info-coordinates").textContent = place;
  followWithin($("near-here"), { near: `${latitude},${longitude},${NEAR_KM}km`, area: "", open: null });
}

function drawFolderLink({ folder }) {
  const state = getState();
  const isChosen = state.folder.length === 1 && state.folder[0] === folder;
  $("only-folder").hidden = isChosen || isRootFolder(folder);
  followWithin($("only-folder"), { folder: [folder], open: null });
}

// Let a link change the filters within the page, unless the user opens it in a new tab.
function followWithin(link, change) {
  link.href = makeStateUrl({ ...getState(), ...change });
  link.onclick = (event) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    changeFilters(change);
    $("results").focus({ preventScroll: true });
  };
}
