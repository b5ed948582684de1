// Coordinates of world.svg, the outline of the world: its units, and its places.

export const UNITS = 5; // in one degree
export const WORLD = { x: 0, y: 0, width: 360 * UNITS, height: 180 * UNITS };

export const toX = (longitude) => (longitude + 180) * UNITS;
export const toY = (latitude) => (90 - latitude) * UNITS;
export const toLongitude = (x) => x / UNITS - 180;
export const toLatitude = (y) => 90 - y / UNITS;

const GRID_STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]; // degrees
const MIN_GRID_LINES = 3; // across a part of the map

// Return the path of the meridians and parallels in a part of the map: without them, a part inside a
// country would be empty.
export function makeGrid(left, top, width, height) {
  const step = UNITS * (GRID_STEPS.find((degrees) => width / UNITS / degrees >= MIN_GRID_LINES) ?? GRID_STEPS.at(-1));
  const list = (from, to) =>
    Array.from({ length: Math.max(0, Math.floor(to / step) - Math.ceil(from / step) + 1) }, (_, i) =>
      (Math.ceil(from / step) + i) * step,
    );
  const [west, north] = [Math.max(0, left), Math.max(0, top)];
  const [east, south] = [Math.min(WORLD.width, left + width), Math.min(WORLD.height, top + height)];
  return [
    ...list(west, east).map((x) => `M${x} ${north}V${south}`),
    ...list(north, south).map((y) => `M${west} ${y}H${east}`),
  ].join("");
}
