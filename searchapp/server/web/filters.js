// What the answers must fulfil: its names in the state, in the page's address, and for the server.

export const NO_FILTERS = {
  folder: "", after: "", before: "", taken: false,
  camera: "", lens: "", rating: "", keyword: [], format: "", near: "",
};

const DATE = /^\d{4}(-\d\d(-\d\d)?)?$/;
const NAMES = Object.keys(NO_FILTERS);

const isSet = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));

export const setFilters = (state) => NAMES.filter((name) => isSet(state[name]));
export const filterKey = (state) => JSON.stringify(NAMES.map((name) => state[name]));

export function appendFilters(state, parameters) {
  for (const name of setFilters(state)) {
    for (const value of [state[name]].flat()) parameters.append(name, value);
  }
  return parameters;
}

export function readFilters(parameters) {
  const filters = { ...NO_FILTERS };
  for (const name of NAMES) {
    const values = parameters.getAll(name).filter(Boolean);
    if (["after", "before"].includes(name) && !DATE.test(values[0])) continue;
    if (Array.isArray(NO_FILTERS[name])) filters[name] = values;
    else if (name === "taken") filters[name] = values[0] === "true";
    else if (values.length) filters[name] = values[0];
  }
  return filters;
}

// In JSON, as it is; in a form, lists are JSON.
export const filterFields = (state) =>
  Object.fromEntries(setFilters(state).map((name) => [name, state[name]]));
