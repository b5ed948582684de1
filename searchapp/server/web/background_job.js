// Work in the background of the server: its progress, and the button that cancels it.

import { Problem, cancelJob, getJob } from "./api.js";
import { capitalize, formatNumber, text } from "./texts.js";
import { $ } from "./views.js";

const POLL_MS = 400;

let running = null; // {id, abort}: the work that a view waits for

// Start work and wait until it ends; return the job, whose state is "done" or "canceled".
// start: returns the promise of the job. Rejects with a Problem if it fails, and with an AbortError
// if a view starts other work, or does not wait any more.
export async function runJob(start) {
  const replaced = running;
  stopWaiting();
  const own = (running = { id: "", abort: new AbortController() });
  const { signal } = own.abort;
  let job = await start();
  own.id = job.id;
  if (replaced?.id && replaced.id !== job.id) cancelJob(replaced.id); // nobody waits for it
  signal.throwIfAborted();
  try {
    while (["waiting", "running"].includes(job.state)) {
      draw(job);
      await pause(signal);
      job = await getJob(job.id, signal);
    }
  } finally {
    if (running === own || !running) $("job").hidden = true;
    if (running === own) running = null;
  }
  if (job.state === "failed") throw new Problem(capitalize(job.error), { kind: job.error_kind });
  return job;
}

// Stop waiting for the work. The server goes on, so that the view can show the result later.
export function stopWaiting() {
  running?.abort.abort();
  running = null;
}

const pause = (signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, POLL_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

function draw({ state, stage, done, total }) {
  $("job").hidden = false;
  const name = text(`stage_${state === "waiting" ? state : (stage ?? "choosing")}`);
  if ($("job-stage").textContent !== name) $("job-stage").textContent = name; // it is read aloud
  $("job-count").textContent = total ? `${formatNumber(done)} / ${formatNumber(total)}` : "";
  $("job-bar").setAttribute("aria-label", name);
  if (total) [$("job-bar").max, $("job-bar").value] = [total, done];
  else $("job-bar").removeAttribute("value");
}

export function listenToJob() {
  $("job-cancel").addEventListener("click", () => running?.id && cancelJob(running.id));
}
