// Check the values of filters that people type, or that an address has.

const DATE = /^\d{4}(-\d\d(-\d\d)?)?$/;
const CIRCLE = /^-?\d+(\.\d*)?,-?\d+(\.\d*)?,\d+(\.\d*)?(km)?$/;
const AREA = /^-?\d+(\.\d*)?(,-?\d+(\.\d*)?){3}$/;

// Return whether a text is a year, month or day that exists.
export function isDate(value) {
  const [year, month = 1, day = 1] = value.split("-").map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return DATE.test(value) && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

const isPosition = (latitude, longitude) =>
  Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;

// Return whether a text is LATITUDE,LONGITUDE,KILOMETERS.
export const isCircle = (value) =>
  CIRCLE.test(value) && isPosition(...value.split(",").slice(0, 2).map(Number));

// Return whether a text is SOUTH,WEST,NORTH,EAST.
export function isArea(value) {
  const [south, west, north, east] = value.split(",").map(Number);
  return AREA.test(value) && isPosition(south, west) && isPosition(north, east) && south <= north;
}
