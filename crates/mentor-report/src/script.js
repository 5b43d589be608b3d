// Sorts a table by the column whose heading is pressed. Without it the tables stay as they were written.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const rows = [...body.rows];
      const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(Number.parseFloat(key(row))));
      // Numbers start with the largest, names with the first; pressing again turns the order round.
      const now = heading.getAttribute("aria-sort");
      const down = now ? now === "ascending" : numeric;
      const compare = numeric
        ? (a, b) => Number.parseFloat(key(a) || "-Infinity") - Number.parseFloat(key(b) || "-Infinity")
        : (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
      rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
// Shows the picture of the mark under the pointer. Without it the mark's own tooltip says class and sample.
for (const map of document.querySelectorAll(".map")) {
  const peek = map.querySelector(".peek");
  if (!peek) continue;
  map.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("[data-view]");
    peek.hidden = !mark;
    if (!mark) return;
    peek.querySelector("svg").setAttribute("viewBox", mark.dataset.view);
    peek.querySelector("p").textContent = mark.dataset.label;
    const [at, box] = [mark.getBoundingClientRect(), map.getBoundingClientRect()];
    const left = at.left - box.left + 14;
    const over = left + peek.offsetWidth > box.width;
    peek.style.left = `${over ? at.left - box.left - peek.offsetWidth - 8 : left}px`;
    peek.style.top = `${Math.max(0, Math.min(at.top - box.top, box.height - peek.offsetHeight))}px`;
  });
  map.addEventListener("pointerleave", () => (peek.hidden = true));
}
