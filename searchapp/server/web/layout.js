// Layout of the grid: justified rows of tiles in groups, as numbers only. One tile is one picture.
//
// A model describes what the grid shows:
//   ids, ratios: image id and width / height of each tile
//   groups: [{title, from, to, starts, isFolded}], tiles from (inclusive) to to (exclusive);
//     starts: Map of the first tile of each day to its label

export const MIN_RATIO = 0.56; // narrower pictures are cropped in the grid

const HEADING_HEIGHT = 52;
const LABEL_HEIGHT = 26;
const GROUP_GAP = 18;
const BAND_GAP = 24; // between groups that lie side by side
const MIN_GROUP_WIDTH = 150; // for the title
const FILL_FACTOR = 1.3; // a row is made at most this much higher to fill the width

// Return the sizes that fit the width of the grid, in CSS pixels.
export function chooseSizes(width) {
  if (width < 560) return { rowHeight: 118, gap: 4, maxRatio: 2 };
  if (width < 860) return { rowHeight: 160, gap: 6, maxRatio: 2.6 };
  return { rowHeight: width < 1700 ? 200 : 240, gap: 8, maxRatio: 2.6 };
}

// Return {rows, groups, height, width, ...sizes}. A row is {group, top, left, height, from, to}; its
// top is below the labels of days. Each group is {top, left, height}. Groups with few pictures lie
// side by side, so that their rows have the same top.
export function layOut(model, width) {
  const plan = { ...chooseSizes(width), width, rows: [], groups: [], height: 0 };
  let band = null; // the last groups, if they lie side by side: {top, right}
  for (const group of model.groups) {
    const short = group.starts ? measureShortGroup(model, group, plan) : 0;
    if (short && band && band.right + short <= width) {
      layOutGroup(model, group, plan, band.top, band.right);
      band.right += short + BAND_GAP;
      continue;
    }
    const top = plan.height;
    const height = layOutGroup(model, group, plan, top, 0);
    plan.height += height + GROUP_GAP;
    band = short ? { top, right: short + BAND_GAP } : null;
  }
  return plan;
}

// Return the width of a group whose tiles do not fill a row; 0 if they do.
function measureShortGroup(model, { from, to }, plan) {
  let width = (to - from - 1) * plan.gap;
  for (let i = from; i < to && width < plan.width; i += 1) {
    width += plan.rowHeight * clampRatio(model.ratios[i], plan);
  }
  return width * FILL_FACTOR < plan.width ? Math.max(MIN_GROUP_WIDTH, width) : 0;
}

// Add a group with its rows to a plan; return its height.
function layOutGroup(model, group, plan, groupTop, left) {
  const { rowHeight, gap, width } = plan;
  let offset = group.title ? HEADING_HEIGHT : 0;
  let [from, ratioSum, hasLabel] = [group.from, 0, false];
  const addRow = (to, height) => {
    const labels = hasLabel ? LABEL_HEIGHT : 0;
    const top = groupTop + offset + labels;
    plan.rows.push({ group: plan.groups.length, top, left, height, from, to });
    offset += labels + height + gap;
    [from, ratioSum, hasLabel] = [to, 0, false];
  };
  for (let i = group.from; i < group.to; i += 1) {
    const ratio = clampRatio(model.ratios[i], plan);
    const fitted = (width - gap * (i - from)) / (ratioSum + ratio);
    if (fitted < rowHeight * 0.78 && i > from) {
      // The tile would make the row too low: the row ends before it, and is higher than usual.
      addRow(i, Math.min(rowHeight * 1.35, (width - gap * (i - from - 1)) / ratioSum));
    }
    ratioSum += ratio;
    hasLabel ||= group.starts?.has(i) ?? false;
    const height = (width - gap * (i - from)) / ratioSum;
    if (height <= rowHeight) addRow(i + 1, height);
  }
  if (from < group.to) {
    const fitted = (width - gap * (group.to - from - 1)) / ratioSum;
    // A short last row stays short.
    addRow(group.to, fitted < rowHeight * FILL_FACTOR && !left ? fitted : rowHeight);
  }
  plan.groups.push({ top: groupTop, left, height: offset });
  return offset;
}

export const clampRatio = (ratio, { maxRatio }) =>
  Math.min(maxRatio, Math.max(MIN_RATIO, ratio || 1));

// Return the left edge and the width of each tile of a row, in whole pixels.
export function placeTiles(model, row, plan) {
  const places = [];
  let x = row.left;
  for (let i = row.from; i < row.to; i += 1) {
    const width = row.height * clampRatio(model.ratios[i], plan);
    const left = Math.round(x);
    places.push({ index: i, left, width: Math.round(x + width) - left });
    x += width + plan.gap;
  }
  return places;
}

// Return the index of the last row that begins at or above y; -1 if there is none. Rows with the
// same top may precede it.
export function findRowAt(rows, y) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top <= y) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// Return the index of the row with a tile; -1 if the tile is in a folded group.
export function findRowOf(rows, index) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].from <= index) low = middle + 1;
    else high = middle;
  }
  return low && index < rows[low - 1].to ? low - 1 : -1;
}

// Return the indexes of the tiles that a rectangle touches. box: {left, right, top, bottom}.
export function findTilesIn(model, plan, box) {
  const indexes = [];
  for (const row of plan.rows) {
    if (row.top > box.bottom) break;
    if (row.top + row.height < box.top) continue;
    for (const { index, left, width } of placeTiles(model, row, plan)) {
      if (left <= box.right && left + width >= box.left) indexes.push(index);
    }
  }
  return indexes;
}

// Return the tile next to a tile. direction: -1 left, 1 right, -2 up, 2 down. Rows have tiles of
// different widths, so up and down go to the nearest center. Returns -1 at an edge.
export function findNeighborTile(model, plan, index, direction) {
  const row = findRowOf(plan.rows, index);
  if (row < 0) return -1;
  if (Math.abs(direction) === 1) {
    return findRowOf(plan.rows, index + direction) < 0 ? -1 : index + direction;
  }
  const targets = findRowsBeside(plan.rows, row, Math.sign(direction));
  if (!targets.length) return -1;
  const center = (place) => place.left + place.width / 2;
  const own = center(placeTiles(model, plan.rows[row], plan)[index - plan.rows[row].from]);
  const distance = (place) => Math.abs(center(place) - own);
  const places = targets.flatMap((target) => placeTiles(model, target, plan));
  return places.sort((a, b) => distance(a) - distance(b))[0].index;
}

// Return the rows at the next top in a direction (1 or -1) of a row.
function findRowsBeside(rows, number, step) {
  const { top } = rows[number];
  let next = number;
  while (rows[next]?.top === top) next += step;
  const targets = [];
  for (let i = next; rows[i] && rows[i].top === rows[next].top; i += step) targets.push(rows[i]);
  return targets;
}
