// Browsing: all pictures that match the filters, newest first, by month and day.

import { getTimeline } from "./api.js";
import { getKnownPicture, loadPictures } from "./details.js";
import { filterKey } from "./filters.js";
import { groupByMonth } from "./groups.js";

const MAX_TIMELINES = 4; // recent filters whose pictures are kept in memory

const timelines = new Map(); // key of the filters -> decoded timeline
let colorSource = null; // the timeline with the most colors
let colors = null; // image id -> #rgb; made of colorSource when it is first needed

// Return {key, ids, ratios, groups, getColor} of the filters; isAgain: even if it is known.
export async function loadTimeline(state, signal, isAgain = false) {
  const key = filterKey(state);
  if (isAgain || !timelines.has(key)) {
    const timeline = decode(await getTimeline(state, signal));
    timelines.delete(key);
    timelines.set(key, { ...timeline, key });
    const [oldest] = timelines.keys();
    if (timelines.size > MAX_TIMELINES) timelines.delete(oldest);
  }
  return timelines.get(key);
}

function decode({ days, ids: differences, ratios: percents, colors: text }) {
  const ids = new Float64Array(differences.length); // ids can be larger than 2 ** 31
  let id = 0;
  differences.forEach((difference, i) => (ids[i] = id += difference));
  const getColor = (i) => (text && text[3 * i] !== " " ? `#${text.slice(3 * i, 3 * i + 3)}` : "");
  const ratios = Float32Array.from(percents, (percent) => percent / 100);
  const timeline = { ids, ratios, groups: groupByMonth(days), getColor };
  if (ids.length >= (colorSource?.ids.length ?? 0)) [colorSource, colors] = [timeline, null];
  return timeline;
}

// The placeholder of a picture, if a timeline has had its color; otherwise "".
export function findColor(id) {
  if (!colorSource) return "";
  colors ??= new Map(Array.from(colorSource.ids, (other, i) => [other, colorSource.getColor(i)]));
  return colors.get(id) ?? "";
}

// Return the model of a timeline for the grid.
export const makeBrowseModel = (timeline, makeUrl) => ({
  ...timeline,
  makeUrl,
  isByMonth: true,
  getPicture: (index) => getKnownPicture(timeline.ids[index]),
  load: (indexes) => loadPictures(indexes.map((index) => timeline.ids[index])),
});
