// Let a person choose which files to keep, and make the shell script that moves the others away.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const cards = [...document.querySelectorAll(".card")];
const groups = new Map();
for (const card of cards) {
  const group = card.closest("section");
  groups.set(group, [...(groups.get(group) ?? []), card]);
}
const reviewed = new Set(); // groups whose choices a person has made or confirmed
const fileOf = (card) => data.files[Number(card.dataset.file)];
const isKept = (card) => card.classList.contains("keep");
const formatSize = (size) =>
  size >= 1e9 ? `${(size / 1e9).toFixed(1)} GB` : `${(size / 1e6).toFixed(1)} MB`;

function setKept(card, keep) {
  card.classList.toggle("keep", keep);
  card.classList.toggle("away", !keep);
  card.querySelector(".verdict").textContent = keep ? "stays" : "moves away";
  card.querySelector(".toggle").setAttribute("aria-pressed", String(!keep));
}

function toggle(card) {
  const siblings = groups.get(card.closest("section"));
  if (isKept(card) && siblings.filter(isKept).length === 1) {
    showMessage("Keep at least one file of each picture.");
  } else if (isKept(card) && fileOf(card).word === null) {
    showMessage("A script cannot move this file: it is in object storage, or its name is invalid. Move it by hand.");
  } else {
    setKept(card, !isKept(card));
    markReviewed(card);
    updateSummary();
  }
}

function keepOnly(card) {
  for (const other of groups.get(card.closest("section"))) {
    setKept(other, other === card || fileOf(other).word === null);
  }
  markReviewed(card);
  updateSummary();
}

function keepAll(card) {
  for (const other of groups.get(card.closest("section"))) setKept(other, true);
  markReviewed(card);
  updateSummary();
}

function markReviewed(card) {
  const group = card.closest("section");
  reviewed.add(group);
  group.querySelector(".confirm").setAttribute("aria-pressed", "true");
  group.querySelector(".state").textContent = "reviewed";
}

function confirmChoices(card) {
  markReviewed(card);
  updateSummary();
}

function showMessage(text) {
  document.querySelector("output").textContent = text;
}

function updateSummary() {
  const away = cards.filter((card) => !isKept(card));
  const size = away.reduce((sum, card) => sum + fileOf(card).size, 0);
  showMessage(`${away.length} file${away.length === 1 ? "" : "s"} to move away, ${formatSize(size)}`);
  for (const id of ["copy", "save"]) document.getElementById(id).disabled = away.length === 0;
  document.getElementById("choices").disabled = reviewed.size === 0;
}

// A group that nobody has looked at is left out: its suggestion is no choice of a person.
function makeReview() {
  const chosen = [...reviewed].map((group) =>
    groups.get(group).map((card) => {
      const { path, sha256 } = fileOf(card);
      return { path, sha256, stays: isKept(card) };
    }),
  );
  return JSON.stringify({ [data.key]: data.version, groups: chosen });
}

function saveReview() {
  saveFile(makeReview(), "application/json", "duplicate-choices.json");
  showMessage("Run: searchapp duplicates --import-review duplicate-choices.json");
}

function makeScript() {
  const lines = [data.head.trimEnd(), ""];
  for (const siblings of groups.values()) {
    const kept = siblings.filter((card) => isKept(card) && fileOf(card).word !== null)[0];
    const away = siblings.filter((card) => !isKept(card));
    if (kept === undefined || away.length === 0) continue;
    lines.push("", `# keep: ${fileOf(kept).comment}`);
    for (const card of away) {
      const file = fileOf(card);
      lines.push(`move ${file.size} ${file.word} ${fileOf(kept).size} ${fileOf(kept).word}${fileOf(card).along}`);
    }
  }
  return `${lines.join("\n")}\n${data.tail}`;
}

async function copyScript() {
  const text = makeScript();
  try {
    await navigator.clipboard.writeText(text);
    showMessage("Copied the script to the clipboard.");
  } catch {
    const dialog = document.querySelector("dialog");
    dialog.querySelector("textarea").value = text;
    dialog.showModal();
    dialog.querySelector("textarea").select();
  }
}

function saveFile(text, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function saveScript() {
  saveFile(makeScript(), "text/x-shellscript", "move-duplicates.sh");
  showMessage("Check the script, then run: sh move-duplicates.sh FOLDER");
}

function focusFile(from, step) {
  const next = cards[cards.indexOf(from) + step];
  next?.querySelector(".toggle").focus();
}

function focusGroup(from, step) {
  const all = [...groups.keys()];
  const next = all[all.indexOf(from.closest("section")) + step];
  if (next === undefined) return;
  next.scrollIntoView({ block: "start" });
  groups.get(next)[0].querySelector(".toggle").focus();
}

document.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (event.target.closest(".toggle")) toggle(card);
  if (event.target.closest(".only")) keepOnly(card);
  const first = groups.get(event.target.closest("section"))?.[0];
  if (event.target.closest(".all")) keepAll(first);
  if (event.target.closest(".confirm")) confirmChoices(first);
});

document.addEventListener("keydown", (event) => {
  const card = document.activeElement?.closest(".card");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog").open) return;
  if (!card) {
    if (event.key === "ArrowDown" && document.activeElement === document.body) {
      cards[0]?.querySelector(".toggle").focus();
      event.preventDefault();
    }
    return;
  }
  const act = {
    ArrowRight: () => focusFile(card, 1),
    ArrowLeft: () => focusFile(card, -1),
    ArrowDown: () => focusGroup(card, 1),
    ArrowUp: () => focusGroup(card, -1),
    k: () => keepOnly(card),
    a: () => keepAll(card),
    r: () => confirmChoices(card),
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

document.querySelector("#copy").addEventListener("click", copyScript);
document.querySelector("#save").addEventListener("click", saveScript);
document.querySelector("#choices").addEventListener("click", saveReview);
updateSummary();
