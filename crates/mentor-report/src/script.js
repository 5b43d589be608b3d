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
// Shows the picture of the mark under the pointer, or of the one that the arrow keys have come to, and its file's name
// below the map. Without it the mark's own tooltip says class and sample.
for (const map of document.querySelectorAll(".map")) {
  const [plot, peek, file] = [map.querySelector("svg"), map.querySelector(".peek"), map.nextElementSibling];
  const marks = [...map.querySelectorAll(".point")];
  let at = -1;
  const show = (mark) => {
    marks[at]?.classList.remove("chosen");
    peek.hidden = !mark;
    at = marks.indexOf(mark);
    if (!mark) return;
    mark.classList.add("chosen");
    file.textContent = mark.dataset.file;
    const picture = peek.querySelector("svg");
    if (picture) {
      picture.toggleAttribute("hidden", !mark.dataset.view);
      picture.setAttribute("viewBox", mark.dataset.view ?? "0 0 1 1");
    }
    peek.querySelector("p").textContent = mark.dataset.label;
    const [place, box] = [mark.getBoundingClientRect(), map.getBoundingClientRect()];
    const left = place.left - box.left + 14;
    const over = left + peek.offsetWidth > box.width;
    peek.style.left = `${Math.max(0, over ? place.left - box.left - peek.offsetWidth - 8 : left)}px`;
    peek.style.top = `${Math.max(0, Math.min(place.top - box.top, box.height - peek.offsetHeight))}px`;
  };
  map.addEventListener("pointerover", (event) => show(event.target.closest(".point")));
  map.addEventListener("pointerleave", () => show(null));
  const ways = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return show(null);
    if (!(event.key in ways) || !marks.length) return;
    event.preventDefault();
    show(marks[(Math.max(at, ways[event.key] < 0 ? 0 : -1) + ways[event.key] + marks.length) % marks.length]);
  });
  plot.addEventListener("blur", () => show(null));
}
