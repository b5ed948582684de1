// Requests to the HTTP API. All URLs are relative, because a proxy may serve the page below a path.

import { exampleFields, hasExamples } from "./examples.js";
import { appendFilters, filterFields } from "./filters.js";
import { capitalize, text } from "./texts.js";

export const PAGE_SIZE = 60;
export const DATE_PAGE_SIZE = 300; // results by date need all good matches before they are shown
export const RERANKED_HITS = 20; // best hits that a reranker compares closely

export const NO_ANSWER = "NoAnswer"; // kind of the problem that no server answers

export class Problem extends Error {
  constructor(message, { status = 0, kind = "", retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.kind = kind; // class of the server's error, or NO_ANSWER
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

export const originalUrl = (hit) => `api/originals/${hit.id}?${contentParameter(hit)}`;

export const getInfo = () => request("api/info");
// Return whether the server still loads the model. /readyz answers 503 also if it cannot be loaded.
export async function isModelLoading() {
  const response = await fetch("readyz").catch(() => null);
  if (response?.status !== 503) return false;
  const { detail } = await response.json().catch(() => ({}));
  return /loading/.test(detail ?? "");
}

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

// Show the folder of a picture in the file manager of this computer.
export async function openFolder({ id }) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ image_id: id });
  const response = await fetchOrThrow("api/open-folder", { method: "POST", headers, body });
  if (!response.ok) throw await readProblem(response);
}

export const getPictureDetails = (id) => request(`api/pictures/${id}`);

const asJson = (method, fields) => ({
  method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields),
});

export const listSaved = async () => (await request("api/saved")).searches;
export const saveSearch = (fields) => request("api/saved", asJson("POST", fields));
export const renameSaved = (id, name) => request(`api/saved/${id}`, asJson("PATCH", { name }));
export async function removeSaved(id) {
  const response = await fetchOrThrow(`api/saved/${id}`, { method: "DELETE" });
  if (!response.ok) throw await readProblem(response);
}

// Return one page of results.
// query: {text, picture: {id, file}|null, similar: id|null, like, unlike, region, and the filters}
export async function searchPictures(query, offset, signal) {
  const { text: words, picture, similar, region, sort, by } = query;
  const page = { count: sort === "date" ? DATE_PAGE_SIZE : PAGE_SIZE, offset };
  const isReranked = sort === "rerank" && !hasExamples(query); // a reranker takes no examples
  if (similar && !words && !region && !isReranked && !hasExamples(query)) {
    const parameters = appendFilters(query, new URLSearchParams(page));
    return request(`api/similar/${similar}?${parameters}`, { signal });
  }
  const fields = { ...page, ...filterFields(query), ...exampleFields(query) };
  if (isReranked) fields.rerank = RERANKED_HITS;
  if (query.saved) return request("api/search", { ...asJson("POST", { ...fields, saved: query.saved }), signal });
  if (picture) {
    const form = new FormData();
    if (words) form.append("text", words);
    for (const [name, value] of Object.entries(fields)) {
      form.append(name, Array.isArray(value) ? JSON.stringify(value) : value);
    }
    form.append("image", picture.file, "picture");
    return request("api/search", { method: "POST", body: form, signal });
  }
  if (similar) {
    const term = { image_id: similar, ...(words && { text: words }), ...(region && { region }) };
    fields.terms = [term];
  } else if (words) {
    fields.text = words;
    if (by) fields.by = by;
  }
  const headers = { "Content-Type": "application/json" };
  return request("api/search", { method: "POST", headers, body: JSON.stringify(fields), signal });
}

// Return the pictures that match the filters by place: those in each square of a grid, cell in degrees.
export async function getPlaces(state, cell, within, signal) {
  const parameters = appendFilters(state, new URLSearchParams({ cell, ...(within && { within }) }));
  return (await request(`api/places?${parameters}`, { signal })).places;
}

// Work in the background of the server. The functions that start it return the job.
export const startMap = (state) => request("api/map", asJson("POST", filterFields(state)));
export const getJob = (id, signal) => request(`api/jobs/${id}`, { signal });
export async function cancelJob(id) {
  await fetch(`api/jobs/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}
// Search for duplicates; isAnew: even if there is a result. The pictures in state.among can have
// duplicates anywhere in the library, so no filter applies.
export const startDuplicates = (state, isAnew) =>
  request("api/duplicates", asJson("POST", {
    ...(state.among.length ? {} : filterFields(state)),
    ...(state.alike && { look_alikes: true }), ...(isAnew && { again: true }),
  }));
const amongParameter = ({ among }) => (among.length ? { among: among.join(",") } : {});
export function getDuplicates(id, state, first) {
  const page = { first, ...(state.reviewed && { reviewed: true }), ...amongParameter(state) };
  return request(`api/duplicates/${id}?${new URLSearchParams(page)}`);
}
export const scriptUrl = (id, state) =>
  `api/duplicates/${id}/script?${new URLSearchParams(amongParameter(state))}`;
export const saveReview = (groups) => request("api/duplicates/reviews", asJson("POST", { groups }));
export const getPictureMap = (id, signal) => request(`api/map/${id}`, { signal });

export const zipUrl = (ids) => `api/zip?ids=${ids.join(",")}`;

// Throw the Problem that the download of a zip would have: a link cannot show it.
export async function checkZip(ids) {
  const response = await fetchOrThrow(zipUrl(ids), { method: "HEAD" });
  if (!response.ok) await request(zipUrl(ids)); // an answer to HEAD has no reason
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
    throw new Problem(text("no_answer"), { kind: NO_ANSWER });
  }
}

async function readProblem(response) {
  const { detail, kind } = await response.json().catch(() => ({})); // problem details, RFC 9457
  const waitSeconds = response.status === 503 ? Number(response.headers.get("Retry-After")) : 0;
  const answer = text("status_answer", `${response.status} ${response.statusText}`.trim());
  return new Problem(detail ? capitalize(detail) : answer, {
    status: response.status,
    kind,
    retryAfter: waitSeconds > 0 ? waitSeconds : null,
  });
}
