// The index of a run: a row for each clip, in the order of the run.
const ROWS = 100; // shown at once: a table of many thousand would be slow to lay out
const COLUMNS = [
  { name: data.unit, value: (row) => row.name },
  { name: "label", value: (row) => row.label || null, show: (row) => row.label },
  { name: "probability", value: (row) => row.probability, show: (row) => row.probability.toFixed(3), number: true },
];
const MOVES = data.unit === "clip"; // photos have no columns about time
if (MOVES) {
  COLUMNS.push(
    { name: "changes/min", value: (row) => row.changes, show: (row) => row.changes.toFixed(1), number: true },
    { name: "length", value: (row) => row.seconds, show: (row) => clock(row.seconds, 0), number: true },
  );
}

let first = 0; // of the rows that are found, the first that is shown
let sorted = null; // the column that sorts them, if any
let descending = false;

function found() {
  const wanted = byId("find").value.trim().toLowerCase();
  const rows = data.rows.filter((row) => `${row.name}\n${row.label}\n${row.remarks}`.toLowerCase().includes(wanted));
  if (!sorted) return rows;
  const order = (a, b) => {
    const [one, other] = [sorted.value(a), sorted.value(b)];
    if (one === null || other === null) return (one === null) - (other === null); // those that failed come last
    const less = sorted.number ? one - other : one.localeCompare(other);
    return descending ? -less : less;
  };
  return rows.sort(order);
}

function drawHead() {
  element("th", byId("head"), "picture").scope = "col";
  for (const column of COLUMNS) {
    const cell = element("th", byId("head"));
    cell.scope = "col";
    const button = element("button", cell, column.name);
    button.type = "button";
    button.addEventListener("click", () => {
      // Large numbers first, names from A on; again turns it round.
      descending = sorted === column ? !descending : Boolean(column.number);
      sorted = column;
      first = 0;
      for (const other of byId("head").children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      draw();
    });
  }
  if (MOVES) element("th", byId("head"), "labels over time").scope = "col";
}

function drawBand(row, parent) {
  const band = element("div", parent);
  band.className = "strip";
  for (const [share, label] of row.band) {
    const piece = element("span", band);
    piece.style.flexGrow = share;
    piece.style.background = data.colours[label] || data.grey;
    piece.title = label;
  }
}

function drawRow(row) {
  const line = element("tr", byId("rows")), isPhoto = row.page && row.seconds === null;
  line.classList.toggle("photo", isPhoto);
  const picture = element("td", line);
  if (row.picture) {
    const image = element("img", picture);
    image.src = row.picture;
    image.alt = "";
    image.loading = "lazy";
  }
  const name = element("th", line);
  name.scope = "row";
  if (row.page) element("a", name, row.name).href = row.page;
  else name.textContent = row.name;
  if (row.remarks) element("p", name, row.remarks).className = "remarks";
  for (const { name: title, value, show } of COLUMNS.slice(1)) {
    const cell = element("td", line);
    if (!row.page || value(row) === null) continue;
    cell.textContent = show(row);
    cell.dataset.name = title; // for a narrow window, which has no columns
  }
  if (!MOVES) return;
  const band = element("td", line);
  if (!isPhoto) drawBand(row, band);
}

function draw() {
  const rows = found(), last = Math.min(first + ROWS, rows.length);
  byId("rows").replaceChildren();
  rows.slice(first, last).forEach(drawRow);
  byId("said").textContent = rows.length
    ? `${first + 1} to ${last} of ${rows.length} ${data.unit}s` : `No ${data.unit} is called so, or has this label.`;
  byId("less").disabled = first === 0;
  byId("more").disabled = last === rows.length;
}

function turn(rows) {
  first += rows;
  draw();
  byId("rows").closest("table").scrollIntoView();
}

byId("find").addEventListener("input", () => {
  first = 0;
  draw();
});
byId("less").addEventListener("click", () => turn(-ROWS));
byId("more").addEventListener("click", () => turn(ROWS));
if (MOVES) for (const [label, colour] of Object.entries(data.colours)) named(label, colour, element("li", byId("legend")));
drawHead();
draw();
