// Marks the words of a question in a text, as the search by names and captions finds them: case,
// accents and separators do not count.

import { createElement } from "./views.js";

const SEPARATOR = /[^\p{L}\p{N}]/u;

// Return {folded, starts, ends}: the text in a form to compare, and the place of each of its letters.
function fold(text, withSeparators) {
  let [folded, place] = ["", 0];
  const [starts, ends] = [[], []];
  for (const letter of text) {
    const end = place + letter.length;
    const plain = letter.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace("ß", "ss");
    if (!plain && ends.length) ends[ends.length - 1] = end; // an accent that follows its letter
    if (withSeparators || !SEPARATOR.test(letter)) {
      folded += plain;
      for (let i = 0; i < plain.length; i += 1) {
        starts.push(place);
        ends.push(end);
      }
    }
    place = end;
  }
  return { folded, starts, ends };
}

// Return [start, end] of each word of the question in the text.
function findWords(text, question) {
  const ranges = [];
  const search = (word, { folded, starts, ends }) => {
    for (let i = folded.indexOf(word); word && i >= 0; i = folded.indexOf(word, i + word.length)) {
      ranges.push([starts[i], ends[i + word.length - 1]]);
    }
  };
  const [spaced, joined] = [fold(text, true), fold(text, false)];
  for (const part of question.split(/\s+/)) {
    const word = fold(part, false).folded;
    const count = ranges.length;
    search(word, spaced);
    if (ranges.length === count) search(word, joined);
  }
  return ranges.sort(([a], [b]) => a - b);
}

// Return the text as nodes, with the words of a question in <mark>.
export function markWords(text, question) {
  const nodes = [];
  let end = 0;
  for (const [from, to] of findWords(text, question)) {
    if (to <= end) continue;
    const start = Math.max(from, end);
    nodes.push(text.slice(end, start), createElement("mark", { textContent: text.slice(start, to) }));
    end = to;
  }
  nodes.push(text.slice(end));
  return nodes.filter((node) => node !== "");
}
