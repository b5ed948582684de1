// Requests to the HTTP API. All URLs are relative, because a proxy may serve the page below a path.

import { appendFilters, filterFields } from "./filters.js";

export const PAGE_SIZE = 60;
export const DATE_PAGE_SIZE = 300; // results by date need all good matches before they are shown

export class Problem extends Error {
  constructor(message, { status = 0, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds, while the model is starting
  }
}

// The browser caches an answer by its URL. An id means another picture in another library, so the
// URL of a hit names its content too. hit: a hit, or only {id}.
const contentParameter = (hit) => (hit.sha256 ? `sha256=${hit.sha256.slice(0, 16)}` : "");

export const thumbnailUrl = (hit, size) =>
  `api/thumbnails/${hit.id}?size=${size}&${contentParameter(hit)}`;
export const imageUrl = (hit) => `api/images/${hit.id}?${contentParameter(hit)}`;
export const videoUrl = (hit) => `api/videos/${hit.id}?${contentParameter(hit)}#t=${hit.seconds}`;

export const getInfo = () => request("api/info");
export const getTimeline = (state, signal) =>
  request(`api/timeline?${appendFilters(state, new URLSearchParams())}`, { signal });

// find: only values that contain this text.
export function getFacets(state, signal, find = "") {
  const parameters = appendFilters(state, new URLSearchParams());
  if (find) parameters.set("find", find);
  return request(`api/facets?${parameters}`, { signal });
}

// Return the pictures of the ids that the library has; at most 200 ids.
export async function getPictures(ids) {
  const parameters = new URLSearchParams(ids.map((id) => ["id", id]));
  return (await request(`api/pictures?${parameters}`)).pictures;
}

// Return one page of results.
// query: {text, picture: {id, file}|null, similar: id|null, and the filters}
export async function searchPictures(query, offset, signal) {
  const { text, picture, similar, sort } = query;
  const page = { count: sort === "date" ? DATE_PAGE_SIZE : PAGE_SIZE, offset };
  if (similar && !text) {
    const parameters = appendFilters(query, new URLSearchParams(page));
    return request(`api/similar/${similar}?${parameters}`, { signal });
  }
  const fields = { ...page, ...filterFields(query) };
  if (text) fields.text = text;
  if (!picture && !similar) {
    const headers = { "Content-Type": "application/json" };
    return request("api/search", { method: "POST", headers, body: JSON.stringify(fields), signal });
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, Array.isArray(value) ? JSON.stringify(value) : value);
  }
  form.append("image", picture?.file ?? (await fetchPictureFile(similar, signal)), "picture");
  return request("api/search", { method: "POST", body: form, signal });
}

// Download a picture of the library, to send it in a form together with words.
async function fetchPictureFile(id, signal) {
  const response = await fetchOrThrow(imageUrl({ id }), { signal });
  if (!response.ok) throw await readProblem(response);
  return response.blob();
}

async function request(url, options) {
  const response = await fetchOrThrow(url, options);
  if (!response.ok) throw await readProblem(response);
  return response.json();
}

async function fetchOrThrow(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("searchapp does not answer. Run `searchapp serve`, then try again.");
  }
}

async function readProblem(response) {
  const { detail } = await response.json().catch(() => ({})); // problem details, RFC 9457
  const waitSeconds = response.status === 503 ? Number(response.headers.get("Retry-After")) : 0;
  return new Problem(detail || `The server answered ${response.status} ${response.statusText}.`, {
    status: response.status,
    retryAfter: waitSeconds > 0 ? waitSeconds : null,
  });
}
