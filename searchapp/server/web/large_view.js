// Drawing of the large view: the picture or the video.

import { getPictures, imageUrl, thumbnailUrl, videoUrl } from "./api.js";
import { text } from "./texts.js";
import { showToast } from "./toast.js";
import { $, createElement, isVideoFrame } from "./views.js";
import { resetZoom } from "./zoom.js";

const THUMBNAIL_SIDE = 640;
const SAMPLE_SIDE = 64; // pixels of the copy that is searched for transparency

export const isShown = (picture) => $("large").dataset.id === String(picture.id);

// Draw a picture. position: such as "3 of 60+".
export function drawLargeView(picture, position) {
  const isNew = !isShown(picture);
  $("large-name").textContent = $("large-name").title = picture.name;
  $("position").textContent = position;
  $("large-status").textContent = `${picture.name} ${position}`;
  if (!isNew) return; // a redraw keeps the zoom
  $("large").dataset.id = picture.id;
  const image = $("large-image");
  image.alt = picture.name;
  image.style.setProperty("--width", picture.width);
  image.style.setProperty("--height", picture.height);
  image.src = thumbnailUrl(picture, THUMBNAIL_SIDE); // usually cached: shown until the picture is loaded
  $("large-ground").hidden = true; // a thumbnail is opaque
  drawVideo(picture);
  drawMarks(picture);
  resetZoom(picture.width);
  const fullImage = new Image();
  fullImage.src = imageUrl(picture);
  fullImage.decode().then(
    () => isShown(picture) && drawFullImage(fullImage),
    () => explainMissing(picture), // the thumbnail stays
  );
}

// Say why the picture of a hit is not shown: its file was there when the search ended.
async function explainMissing(picture) {
  const message = await getPictures([picture.id]).then(
    (found) => (found.length ? "" : text("unknown_picture")),
    (error) => error.message,
  );
  if (message && isShown(picture)) showToast(message);
}

function drawFullImage(fullImage) {
  $("large-image").src = fullImage.src;
  // Opaque pictures have no ground: rounding could show it at their edges.
  $("large-ground").hidden = !hasTransparency(fullImage);
}

function hasTransparency(image) {
  const [width, height] = [SAMPLE_SIDE, SAMPLE_SIDE];
  const context = createElement("canvas", { width, height }).getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data.some((value, i) => i % 4 === 3 && value < 255);
}

// Outline the lines of text in the picture that contain words of the question.
function drawMarks({ match }) {
  const boxes = (match ?? []).flatMap((reason) => reason.boxes);
  $("large-marks").replaceChildren(
    ...boxes.map((corners) => {
      const outline = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
      outline.setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));
      return outline;
    }),
  );
}

// Play a video from the time of the frame; keep the frame if the browser cannot play the video.
function drawVideo(picture) {
  stopVideo();
  if (!isVideoFrame(picture)) return;
  const [video, image] = [$("large-video"), $("large-image")];
  video.onloadeddata = () => {
    if (!isShown(picture) || video.videoWidth === 0) return;
    [video.hidden, image.hidden] = [false, true];
  };
  video.src = videoUrl(picture);
}

// Stop the video, and forget the picture, when the view is closed.
export function clearLargeView() {
  stopVideo();
  delete $("large").dataset.id;
}

function stopVideo() {
  const video = $("large-video");
  video.onloadeddata = null;
  [video.hidden, $("large-image").hidden] = [true, false];
  if (!video.hasAttribute("src")) return;
  video.pause();
  video.removeAttribute("src");
  video.load(); // stops the download
}
