// Lets a person choose which files stay, and makes the shell script that moves the others away.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const cards = [...document.querySelectorAll(".card")];
const groups = new Map();
for (const card of cards) {
  const group = card.closest("section");
  groups.set(group, [...(groups.get(group) ?? []), card]);
}
const fact = (card) => data.files[Number(card.dataset.file)];
const stays = (card) => card.classList.contains("keep");
const megabytes = (size) =>
  size >= 1e9 ? `${(size / 1e9).toFixed(1)} GB` : `${(size / 1e6).toFixed(1)} MB`;

function set(card, keep) {
  card.classList.toggle("keep", keep);
  card.classList.toggle("away", !keep);
  card.querySelector(".mark").textContent = keep ? "stays" : "moves away";
  card.querySelector(".toggle").setAttribute("aria-pressed", String(!keep));
}

function toggle(card) {
  const siblings = groups.get(card.closest("section"));
  if (stays(card) && siblings.filter(stays).length === 1) {
    tell("One file of each picture has to stay.");
  } else if (stays(card) && fact(card).word === null) {
    tell("This name cannot be written into a script: move the file by hand.");
  } else {
    set(card, !stays(card));
    count();
  }
}

function keepOnly(card) {
  for (const other of groups.get(card.closest("section"))) {
    set(other, other === card || fact(other).word === null);
  }
  count();
}

function keepAll(card) {
  for (const other of groups.get(card.closest("section"))) set(other, true);
  count();
}

function tell(text) {
  document.querySelector("output").textContent = text;
}

function count() {
  const away = cards.filter((card) => !stays(card));
  const size = away.reduce((sum, card) => sum + fact(card).size, 0);
  tell(`${away.length} file${away.length === 1 ? "" : "s"} to move away, ${megabytes(size)}`);
  for (const button of document.querySelectorAll("footer button")) {
    button.disabled = away.length === 0;
  }
}

function script() {
  const lines = [data.head.trimEnd(), ""];
  for (const siblings of groups.values()) {
    const kept = siblings.filter((card) => stays(card) && fact(card).word !== null)[0];
    const away = siblings.filter((card) => !stays(card));
    if (kept === undefined || away.length === 0) continue;
    lines.push("", `# keep: ${fact(kept).comment}`);
    for (const card of away) {
      const file = fact(card);
      lines.push(`move ${file.size} ${file.word} ${fact(kept).size} ${fact(kept).word}${fact(card).along}`);
    }
  }
  return `${lines.join("\n")}\n${data.tail}`;
}

async function copy() {
  const text = script();
  try {
    await navigator.clipboard.writeText(text);
    tell("The script is copied.");
  } catch {
    const dialog = document.querySelector("dialog");
    dialog.querySelector("textarea").value = text;
    dialog.showModal();
    dialog.querySelector("textarea").select();
  }
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([script()], { type: "text/x-shellscript" }));
  link.download = "move-duplicates.sh";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  tell("Read the script, then run: sh move-duplicates.sh FOLDER");
}

function go(from, step) {
  const next = cards[cards.indexOf(from) + step];
  next?.querySelector(".toggle").focus();
}

function goGroup(from, step) {
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
    ArrowRight: () => go(card, 1),
    ArrowLeft: () => go(card, -1),
    ArrowDown: () => goGroup(card, 1),
    ArrowUp: () => goGroup(card, -1),
    k: () => keepOnly(card),
    a: () => keepAll(card),
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

document.querySelector("#copy").addEventListener("click", copy);
document.querySelector("#save").addEventListener("click", save);
count();
