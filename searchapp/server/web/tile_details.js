// Texts of tiles, drawn once the metadata of their pictures is loaded.

import { describeTile, drawCaption } from "./tile.js";

const getIndex = (item) => Number(item.dataset.index);

// Name the pictures of tiles, for screen readers. getModel: returns the model that the grid shows.
export async function describeTiles(items, getModel) {
  const model = getModel();
  await model.load?.(items.map(getIndex));
  if (getModel() !== model) return;
  for (const item of items) {
    const picture = model.getPicture(getIndex(item));
    if (picture) describeTile(item, picture);
  }
}

// Add the caption to a tile under the mouse or with the focus.
export async function showCaption(item, getModel) {
  const [index, model] = [getIndex(item), getModel()];
  if (!model.getPicture(index)) await model.load?.([index]);
  const picture = getModel() === model && model.getPicture(index);
  if (!picture) return;
  describeTile(item, picture);
  drawCaption(item, picture);
}
