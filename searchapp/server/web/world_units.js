// Coordinates of world.svg, the outline of the world: its units, and its places.

export const UNITS = 5; // in one degree
export const WORLD = { x: 0, y: 0, width: 360 * UNITS, height: 180 * UNITS };

export const toX = (longitude) => (longitude + 180) * UNITS;
export const toY = (latitude) => (90 - latitude) * UNITS;
export const toLongitude = (x) => x / UNITS - 180;
export const toLatitude = (y) => 90 - y / UNITS;
