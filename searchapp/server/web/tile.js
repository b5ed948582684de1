// One tile of the grid: a link with a thumbnail; the caption is made when it is first shown.

import { thumbnailUrl } from "./api.js";
import { markWords } from "./marks.js";
import { getState } from "./navigation.js";
import { text } from "./texts.js";
import { createElement, formatClock, formatDate, formatScore } from "./views.js";
import { isVideoFrame, shortenFolder } from "./views.js";

const SIZES = [320, 640]; // long side of the thumbnails that the server makes

// Return the list item of a tile. count: number of tiles in the grid. color: #rgb, or "".
export function makeTile({ id, index, count, url, color, label }) {
  const alt = text("picture_number", index + 1); // until its name is known
  const image = createElement("img", { decoding: "async", alt, draggable: false });
  const link = createElement("a", { href: url, tabIndex: -1 }, image);
  const item = createElement("li", {}, link);
  item.setAttribute("aria-posinset", index + 1);
  item.setAttribute("aria-setsize", count);
  [item.dataset.id, item.dataset.index] = [id, index];
  if (color) link.style.backgroundColor = color;
  if (label) item.prepend(createElement("span", { className: "day-label", textContent: label }));
  image.addEventListener("error", () => item.classList.add("gone"), { once: true });
  return item;
}

export function loadThumbnail(item, ratio) {
  const image = item.querySelector("img");
  if (image.src) return;
  const picture = { id: item.dataset.id, sha256: item.dataset.sha256 };
  image.sizes = item.style.width;
  const width = (side) => Math.max(1, Math.round(side * Math.min(1, ratio)));
  image.srcset = SIZES.map((side) => `${thumbnailUrl(picture, side)} ${width(side)}w`).join(", ");
  image.src = thumbnailUrl(picture, SIZES[0]);
}

// Stop the download of a thumbnail that has left the page.
export function cancelThumbnail(item) {
  const image = item.querySelector("img");
  if (image.complete) return;
  image.removeAttribute("srcset");
  image.removeAttribute("src");
}

// Show what is known of the picture: its name, and that it is a frame of a video.
export function describeTile(item, picture) {
  const [image, link] = [item.querySelector("img"), item.querySelector("a")];
  if (image.alt === picture.name) return;
  image.alt = picture.name;
  if (isVideoFrame(picture)) {
    const stamp = { className: "stamp", textContent: formatClock(picture.seconds) };
    link.append(createElement("span", { ...stamp, title: text("video_time") }));
  }
}

// Add the caption, which CSS shows on hover and focus.
export function drawCaption(item, picture) {
  if (item.querySelector(".caption")) return;
  const isByFile = picture.date_from === "file";
  const day = createElement("span", {
    className: isByFile ? "day by-file" : "day",
    textContent: picture.date ? formatDate(picture.date) : "",
    title: isByFile ? text("own_date_missing") : "",
  });
  const caption = createElement(
    "span",
    { className: "caption" },
    createElement("bdi", { className: "name", textContent: picture.name }),
    createElement("bdi", { className: "place", textContent: shortenFolder(picture.folder) }),
    day,
  );
  caption.title = picture.path;
  if (picture.score !== undefined) {
    const score = { className: "score", textContent: formatScore(picture.score), title: text("score") };
    caption.append(createElement("span", score));
  }
  const why = (picture.match ?? []).find(({ snippet }) => snippet);
  if (why) {
    const kind = text(`match_${why.by}`);
    const snippet = createElement("bdi", {}, ...markWords(why.snippet, getState().text));
    caption.append(createElement("span", { className: "why" }, kind, ": ", snippet));
  }
  // The picture is named already: the caption would repeat its name in a screen reader.
  caption.setAttribute("aria-hidden", "true");
  item.querySelector("a").append(caption);
}

// The label of a day must not run into the label of the next day in the same row.
// width: of the grid.
export function limitLabels(items, places, width) {
  let end = width;
  for (let i = items.length - 1; i >= 0; i -= 1) {
    const label = items[i].querySelector(".day-label");
    if (!label) continue;
    label.style.maxWidth = `${end - places[i].left - 8}px`;
    end = places[i].left;
  }
}
