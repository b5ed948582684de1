// Filters: their names are the same in the state, in the URL of the page, and in the API.

export const NO_FILTERS = {
  folder: "", after: "", before: "", taken: false,
  camera: "", lens: "", rating: "", keyword: [], format: "", near: "",
};

const DATE = /^\d{4}(-\d\d(-\d\d)?)?$/;
const NAMES = Object.keys(NO_FILTERS);

const isSet = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));

// Names of the filters that have a value.
export const activeFilters = (state) => NAMES.filter((name) => isSet(state[name]));
export const filterKey = (state) => JSON.stringify(NAMES.map((name) => state[name]));

export function appendFilters(state, parameters) {
  for (const name of activeFilters(state)) {
    for (const value of [state[name]].flat()) parameters.append(name, value);
  }
  return parameters;
}

// Return the filters in the parameters of a URL; ignore invalid dates.
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

// Return the fields of a request; a form sends lists as JSON.
export const filterFields = (state) =>
  Object.fromEntries(activeFilters(state).map((name) => [name, state[name]]));
