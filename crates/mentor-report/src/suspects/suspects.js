"use strict";
const cards = [...document.querySelectorAll(".cards li")];
const changed = new Map();
// A path can stand on several cards, in several ways suspect: its label is one.
function choose(path, label) {
  for (const card of cards.filter((card) => card.dataset.path === path)) {
    const isChanged = label !== card.dataset.given;
    card.querySelector("select").value = label;
    card.classList.toggle("changed", isChanged);
    isChanged ? changed.set(path, label) : changed.delete(path);
  }
  document.getElementById("count").textContent = changed.size ? `${changed.size} corrected` : "none yet";
}
for (const card of cards) {
  const select = card.querySelector("select");
  select.addEventListener("change", () => choose(card.dataset.path, select.value));
  card.querySelector("button")?.addEventListener("click", (event) =>
    choose(card.dataset.path, event.target.value));
}
const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
document.getElementById("save").addEventListener("click", () => {
  const rows = [...changed].map(([path, label]) => `${cell(path)},${cell(label)}\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["path,label\n", ...rows], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
});
