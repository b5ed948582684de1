// What the page asks of the server. All addresses are relative: the page may lie behind a proxy.

import { appendFilters, filterFields } from "./filters.js";

export const PAGE = 60;

export class Problem extends Error {
  constructor(message, { status = 0, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds, while the model is starting
  }
}

export const thumbnail = (id, size) => `api/thumbnails/${id}?size=${size}`;
export const original = (id) => `api/images/${id}`;
export const film = (id, seconds) => `api/videos/${id}#t=${seconds}`;

export const getInfo = () => request("api/info");
export const getFacets = (state, signal) =>
  request(`api/facets?${appendFilters(state, new URLSearchParams())}`, { signal });

// A picture by its id: it is the one that is most like itself.
export async function getPicture(id) {
  const answer = await request(`api/similar/${id}?count=1`);
  return answer.hits[0] ?? null;
}

// question: {text, picture: {id, file}|null, similar: id|null, and the filters}
export async function find(question, offset, signal) {
  const { text, picture, similar } = question;
  const page = { count: PAGE, offset };
  if (similar && !text) {
    const parameters = appendFilters(question, new URLSearchParams(page));
    return request(`api/similar/${similar}?${parameters}`, { signal });
  }
  const fields = { ...page, ...filterFields(question) };
  if (text) fields.text = text;
  if (!picture && !similar) {
    const headers = { "Content-Type": "application/json" };
    return request("api/search", { method: "POST", headers, body: JSON.stringify(fields), signal });
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, Array.isArray(value) ? JSON.stringify(value) : value);
  }
  form.append("image", picture?.file ?? (await fetchPicture(similar, signal)), "picture");
  return request("api/search", { method: "POST", body: form, signal });
}

// Words can be added to a picture of the library, too: it goes back as if it had been dropped.
async function fetchPicture(id, signal) {
  const response = await reach(original(id), { signal });
  if (!response.ok) throw await problem(response);
  return response.blob();
}

async function request(address, options) {
  const response = await reach(address, options);
  if (!response.ok) throw await problem(response);
  return response.json();
}

async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("searchapp does not answer. Is it still running?");
  }
}

async function problem(response) {
  const { detail } = await response.json().catch(() => ({}));
  // FastAPI's own checks answer with a list, each with the place and what is wrong with it.
  const message = Array.isArray(detail)
    ? detail.map((each) => `${each.loc?.at(-1) ?? "the question"}: ${each.msg}`).join("; ")
    : detail;
  const wait = response.status === 503 ? Number(response.headers.get("Retry-After")) : 0;
  return new Problem(message || `The server answered ${response.status} ${response.statusText}`, {
    status: response.status,
    retryAfter: wait > 0 ? wait : null,
  });
}
