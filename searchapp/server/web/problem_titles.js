// Titles of the problems that are shown instead of pictures: each says what is wrong.

import { NO_ANSWER } from "./api.js";
import { text } from "./texts.js";

const TITLES_BY_KIND = {
  PictureError: "picture_problem",
  QueryError: "question_problem",
  UnsupportedModality: "question_problem",
  ModelError: "model_problem",
  EngineError: "model_problem",
  LibraryError: "library_problem",
  VectorStoreError: "library_problem",
  ReadOnlyError: "read_only_problem",
  LockedError: "locked_problem",
  [NO_ANSWER]: "connection_problem",
};
const TITLES_BY_STATUS = {
  401: "token_problem",
  404: "gone_problem",
  413: "size_problem",
  422: "question_problem",
  429: "busy_problem",
};

// Return the title of a Problem; of another error, which is a fault of the page, a vague one.
export const findTitle = ({ kind, status }) =>
  text(TITLES_BY_KIND[kind] ?? TITLES_BY_STATUS[status] ?? "problem");
