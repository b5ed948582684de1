// The file that `searchapp map` writes: the map, and a panel with the chosen picture.

const $ = (selector) => document.querySelector(selector);
const data = JSON.parse($("#data").textContent);
const canvas = $("canvas"), tip = $("#tip"), panel = $("aside");
const format = (number) => number.toLocaleString();
const joinPath = (folder, name) => folder.replace(/\/$/, "") + "/" + name;
let shown = null; // tile in the panel

function describeTile({ date, count }) {
  return [date, count > 1 ? format(count - 1) + " more like it" : ""].filter(Boolean).join(" · ");
}

function showTip(tile, point) {
  tip.hidden = !tile;
  if (!tile) return;
  tip.textContent = [tile.name, describeTile(tile)].filter(Boolean).join(" · ");
  const keepInside = (value, limit) => Math.max(4, Math.min(limit - 4, value)) + "px";
  tip.style.left = keepInside(point.x + 14, innerWidth - tip.offsetWidth);
  tip.style.top = keepInside(point.y + 18, innerHeight - tip.offsetHeight);
}

function showPicture(tile) {
  shown = tile;
  panel.hidden = !tile;
  if (!tile) return;
  const [folder, folderUri] = tile.folder, uri = joinPath(folderUri, tile.uri);
  const image = panel.querySelector("img"), large = new Image(), small = document.createElement("canvas");
  small.width = tile.w;
  small.height = tile.h;
  small.getContext("2d").drawImage(...map.findSource(tile), 0, 0, tile.w, tile.h);
  image.src = small.toDataURL("image/png");
  image.alt = tile.name;
  const link = document.createElement("a");
  Object.assign(link, { href: uri, target: "_blank", rel: "noopener", textContent: tile.name });
  panel.querySelector(".name").replaceChildren(link);
  panel.querySelector(".more").innerText = [joinPath(folder, tile.name), describeTile(tile)].filter(Boolean).join("\n");
  if (location.protocol === "file:") { // on this computer: show the file itself
    large.onload = () => { if (shown === tile) image.src = large.src; }; // still the same choice
    large.src = uri;
  }
}

const map = createPictureMap(canvas, data, { choose: showPicture, hover: showTip, format });
canvas.pictureMap = map; // for the developer tools of the browser

function closePanel() {
  map.choose(null);
  canvas.focus();
}
// The keys of the map work before it has the focus.
addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePanel();
  else if (event.target === document.body) canvas.dispatchEvent(new KeyboardEvent("keydown", event));
});
$("#in").onclick = map.zoomIn;
$("#out").onclick = map.zoomOut;
$("#all").onclick = map.showAll;
panel.querySelector("button").onclick = closePanel;
