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
