// A small image of the part of a picture that is searched by.

const SIDE = 80; // pixels of a square that the search field shows

// Show a part in an image element, unless the element shows another picture meanwhile.
// region: "X%,Y%,W%,H%".
export async function drawPart(image, url, region) {
  image.src = url; // until the part is cut
  const source = new Image();
  source.src = url;
  try {
    await source.decode();
  } catch {
    return; // the search tells what is wrong with the picture
  }
  const [x, y, width, height] = region.split(",").map((percent) => Number.parseFloat(percent) / 100);
  const [fullWidth, fullHeight] = [source.naturalWidth, source.naturalHeight];
  const side = Math.min(width * fullWidth, height * fullHeight); // the center of the part is shown
  if (!(side > 0) || image.getAttribute("src") !== url) return;
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const left = (x + width / 2) * fullWidth - side / 2;
  const top = (y + height / 2) * fullHeight - side / 2;
  canvas.getContext("2d").drawImage(source, left, top, side, side, 0, 0, SIDE, SIDE);
  image.src = canvas.toDataURL();
}
