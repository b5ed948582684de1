// Metadata of pictures, loaded in batches when the grid or the large view needs it.

import { getPictures } from "./api.js";

const MAX_KNOWN = 4000;
const BATCH_SIZE = 100;

const known = new Map(); // image id -> picture
const requests = new Map(); // image id -> promise of the batch that loads it

export const getKnownPicture = (id) => known.get(id);

// Load the metadata of pictures, unless it is known. Resolves also if a request fails: the grid
// then shows the pictures without their names.
export async function loadPictures(ids) {
  const missing = ids.filter((id) => !known.has(id) && !requests.has(id));
  for (let start = 0; start < missing.length; start += BATCH_SIZE) {
    const batch = missing.slice(start, start + BATCH_SIZE);
    const request = getPictures(batch)
      .then((pictures) => pictures.forEach((picture) => remember(picture)))
      .catch(() => {})
      .finally(() => batch.forEach((id) => requests.delete(id)));
    batch.forEach((id) => requests.set(id, request));
  }
  await Promise.all(ids.map((id) => requests.get(id)));
}

function remember(picture) {
  known.set(picture.id, picture);
  const [oldest] = known.keys();
  if (known.size > MAX_KNOWN) known.delete(oldest);
}

// Return a picture, or null if the library does not have it. Rejects if the server does not answer.
export async function getPicture(id) {
  if (!known.has(id)) (await getPictures([id])).forEach(remember);
  return known.get(id) ?? null;
}
