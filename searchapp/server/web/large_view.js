// Drawing of the large view: the picture or video, and its metadata.

import { imageUrl, thumbnailUrl, videoUrl } from "./api.js";
import { $, createElement, formatClock, formatDate, formatScore, isVideoFrame } from "./views.js";

const FULL_DATE = { dateStyle: "full", timeStyle: "short" };
const MAX_RATING = 5;

// score: null if the picture is not one of the results. position: such as "3 of 60+".
export function drawLargeView(hit, { score, position }) {
  $("large-name").textContent = hit.name;
  const image = $("large-image");
  image.alt = hit.name;
  image.style.setProperty("--width", hit.width);
  image.style.setProperty("--height", hit.height);
  image.src = thumbnailUrl(hit, 640); // usually cached: shown until the full picture is loaded
  const fullImage = new Image();
  fullImage.src = imageUrl(hit);
  fullImage.decode().then(
    () => $("large").dataset.id === String(hit.id) && (image.src = fullImage.src),
    () => {}, // the file is missing: the thumbnail stays
  );
  $("large").dataset.id = hit.id;
  drawVideo(hit);
  $("facts").replaceChildren(...makeFacts(hit, score));
  $("large-status").textContent = `${hit.name} ${position}`;
  $("position").textContent = position;
}

function makeFacts(hit, score) {
  const names = new Set([hit.city, hit.region, hit.country].filter(Boolean));
  const position =
    hit.latitude === null ? "" : `${hit.latitude.toFixed(5)}, ${hit.longitude.toFixed(5)}`;
  const date = hit.date ? formatDate(hit.date, FULL_DATE) : "";
  const makePath = (path) => createElement("bdi", { textContent: path });
  const facts = [
    ["Score", score === null ? "" : formatScore(score)],
    ["Title", hit.title],
    [hit.date_from === "file" ? "File date" : "Taken", date],
    ["Time in the video", isVideoFrame(hit) ? formatClock(hit.seconds) : ""],
    ["Other matching times", (hit.moments ?? []).map(formatClock).join(", ")],
    ["Rating", formatRating(hit.rating)],
    ["Keywords", hit.keywords.join(", ")],
    ["Camera", hit.camera],
    ["Lens", hit.lens],
    ["Place", [...names].join(", ")],
    ["Position", position],
    ["Names of places", names.size ? makeCredit() : ""],
    ["Size", `${hit.width} × ${hit.height} pixels`],
    ["Path", createElement("bdi", { id: "path", textContent: hit.path })],
    ...hit.also.map((path) => ["Same picture", makePath(path)]),
    ...(hit.companions ?? []).map((path) => ["Companion", makePath(path)]),
  ];
  return facts
    .filter(([, fact]) => fact)
    .map(([name, fact]) =>
      createElement(
        "div",
        {},
        createElement("dt", { textContent: name }),
        createElement("dd", {}, fact),
      ),
    );
}

// The license of GeoNames asks for a credit where the names are shown.
function makeCredit() {
  const link = { href: "https://www.geonames.org", rel: "noreferrer", textContent: "GeoNames" };
  return createElement("span", {}, createElement("a", link), ", CC BY 4.0");
}

function formatRating(rating) {
  if (!rating) return "";
  return rating < 0 ? "Rejected" : "★".repeat(rating) + "☆".repeat(MAX_RATING - rating);
}

// Play a video from the time of the frame; keep the frame if the browser cannot play the video.
function drawVideo(hit) {
  stopVideo();
  if (!isVideoFrame(hit)) return;
  const [video, image] = [$("large-video"), $("large-image")];
  video.onloadeddata = () => {
    const isCurrent = $("large").dataset.id === String(hit.id);
    if (!isCurrent || video.videoWidth === 0) return;
    [video.hidden, image.hidden] = [false, true];
  };
  video.src = videoUrl(hit);
}

export function stopVideo() {
  const video = $("large-video");
  video.onloadeddata = null;
  [video.hidden, $("large-image").hidden] = [true, false];
  if (!video.hasAttribute("src")) return;
  video.pause();
  video.removeAttribute("src");
  video.load(); // stops the download
}
