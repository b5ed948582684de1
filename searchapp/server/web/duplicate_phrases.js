// The phrases with which the server explains duplicates, in the language of the page. They come from
// difference_text.py and choose_keeper.py. A phrase without a translation stays as it is.

import { text } from "./texts.js";

const DIFFERENCES = [
  [/^the same bytes$/, "same_bytes"],
  [/^the same pixels$/, "same_pixels"],
  [/^another picture$/, "another_picture"],
  [/^as (.+)$/, "as_format"],
  [/^grayscale$/, "edit_grayscale"],
  [/^a caption was written into it$/, "edit_caption"],
  [/^a border was added$/, "edit_border"],
  [/^mirrored$/, "mirrored"],
  [/^rotated by (\d+)°$/, "rotated"],
  [/^mirrored and rotated$/, "mirrored_rotated"],
  [/^shows more: about (\d+) % of a side$/, "shows_more"],
  [/^shows less: about (\d+) % of a side$/, "shows_less"],
  [/^scaled to (\d+) %$/, "scaled"],
  [/^different compression or small edits$/, "small_edits"],
  [/^without a date$/, "without_date"],
];
const REASONS = [
  [/^without an edit, the next has: (.+)$/, "without_edit"],
  [/^has the RAW file (.+)$/s, "has_raw"],
  [/^most pixels: (\d+)x(\d+), the next (\d+)x(\d+)$/, "most_pixels"],
  [/^has the companion file (.+)$/s, "has_companion"],
  [/^has the date when it was taken$/, "has_date"],
  [/^(\S+) loses less detail than (\S+)$/, "loses_less"],
  [/^largest file, so the least compressed$/, "largest_file"],
  [/^it matches more copies than the others$/, "most_matches"],
  [/^its name does not look like a copy$/, "no_copy_name"],
  [/^the oldest file$/, "oldest_file"],
  [/^the shortest path$/, "shortest_path"],
  [/^all files are equal; this name sorts first$/, "first_name"],
  [/^the only file$/, "only_file"],
  [/^look-alikes are different pictures: keep them all$/, "look_alike_reason"],
];

function translate(phrase, patterns) {
  for (const [pattern, key] of patterns) {
    const match = pattern.exec(phrase);
    if (match) return text(key, ...match.slice(1));
  }
  return phrase;
}

export const translateReason = (reason) => translate(reason, REASONS);
export const translateDifference = (difference) =>
  difference.split(", ").map((phrase) => translate(phrase, DIFFERENCES)).join(", ");
