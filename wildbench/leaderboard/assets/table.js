// The board as a table: filtered, sorted, and a page of rows at a time, so that 500 rows cost what 25 do.

const PAGE = 25;

function freshView(section) {
  return { section, sort: "rank", up: true, text: "", format: "", front: false, page: 0 };
}

function matching(view) {
  const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  return view.section.rows.filter((row) => {
    const about = [row.name, row.method, row.detector, row.training_data, ...row.authors].filter(Boolean).join(" ").toLowerCase();
    return words.every((word) => about.includes(word))
      && (!view.format || row.format === view.format)
      && (!view.front || marksOf(view.section, row).length > 0);
  });
}

// Rows without the figure come last whichever way; equal rows keep the order of the board.
function sorted(view, rows) {
  const column = COLUMNS.find((one) => one.key === view.sort);
  const keyed = rows.map((row) => [column.by(row, view.section), row]);
  const way = view.up ? 1 : -1;
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return a < b ? -way : a > b ? way : 0;
  });
  return keyed.map(([, row]) => row);
}

function boardTable(view, rows, onsort) {
  const heading = (column) => {
    const active = column.key === view.sort;
    return el("th", { scope: "col", role: "columnheader", class: column.number ? "number" : null,
      "aria-sort": active ? (view.up ? "ascending" : "descending") : null },
      el("button", { type: "button", "data-sort": column.key, onclick: () => onsort(column.key) },
        el("span", { class: "head" }, column.head, el("span", { class: "arrow", "aria-hidden": "true" }, active ? (view.up ? " ↑" : " ↓") : "")),
        column.unit && el("span", { class: "unit" }, column.unit)));
  };
  const cell = (column, row) => el(column.key === "name" ? "th" : "td",
    { scope: column.key === "name" ? "row" : null, role: column.key === "name" ? "rowheader" : "cell",
      class: `${column.style ?? column.key}${column.number ? " number" : ""}`,
      "data-head": column.card ? column.card : column.unit ? `${column.head}, ${column.unit}` : column.head }, column.cell(row, view.section));
  return el("table", { class: "board", role: "table", "aria-label": `Leaderboard of ${placeOf(view.section)}` },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, COLUMNS.map(heading))),
    el("tbody", { role: "rowgroup" }, rows.map((row) =>
      el("tr", { role: "row", "data-row": row.id }, COLUMNS.map((column) => cell(column, row))))));
}

function sortPicker(view, onsort) {
  return el("label", { class: "sorter" }, "Sort by",
    el("select", { onchange: (event) => onsort(event.target.value) }, COLUMNS.map((column) =>
      el("option", { value: column.key, selected: column.key === view.sort }, column.head))));
}

function pager(view, count, onpage) {
  const last = Math.max(0, Math.ceil(count / PAGE) - 1);
  if (last === 0) return null;
  const button = (text, page, off) => el("button", { type: "button", disabled: off, onclick: () => onpage(page) }, text);
  return el("nav", { class: "pager", "aria-label": "Pages of the table" },
    button("Previous", view.page - 1, view.page === 0),
    el("span", {}, `${view.page * PAGE + 1}–${Math.min(count, (view.page + 1) * PAGE)} of ${grouped(count)}`),
    button("Next", view.page + 1, view.page === last));
}
