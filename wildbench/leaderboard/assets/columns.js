// The columns of the board: what each shows, what it sorts by, and what a screen reader hears.

const FRONTS = [
  { axes: ["file_bytes"], mark: "bytes", told: "no other row has both fewer bytes and a higher AP" },
  { axes: ["macs"], mark: "MACs", told: "no other row has both fewer MACs and a higher AP" },
  { axes: ["latency_ratio"], mark: "time", told: "no other row has both a lower ratio to the reference network's time and a higher AP" },
];

function marksOf(section, row) {
  return FRONTS.filter((kind) => section.fronts.some((front) => kind.axes.includes(front.axis) && front.rows.includes(row.id)));
}

const rowLink = (id, text) => el("a", { href: `#row=${encodeURIComponent(id)}` }, text);
const value = (figure) => (has(figure) ? figure.v : null);
const small = (...children) => el("span", { class: "small" }, ...children);

function number(name, figure, read, unit, extra = null) {
  const shown = has(figure) ? read(figure.v) : NONE;
  return el("span", { class: "figure", title: account(name, figure, read, unit) }, shown, extra && [" ", small(extra)]);
}

// AP on its interval, in the range of the section: for the eye only, the digits stand beside it.
function whisker(figure, [low, high]) {
  if (!has(figure)) return null;
  const x = (share) => (100 * (share - low) / (high - low)).toFixed(1);
  const interval = figure.i && svg("line", { x1: x(figure.i[0]), x2: x(figure.i[1]), y1: 6, y2: 6, class: "interval" });
  return svg("svg", { class: "whisker", viewBox: "-3 0 106 12", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("line", { x1: 0, x2: 100, y1: 6, y2: 6, class: "axis" }), interval || null,
    svg("line", { x1: x(figure.v), x2: x(figure.v), y1: 1.5, y2: 10.5, class: "point" }));
}

// Names of detectors are long and have no spaces: they may break after an underscore.
const breakable = (text) => text.split("_").flatMap((part, place) => (place ? ["_", el("wbr"), part] : [part]));

function rankCell(row) {
  const place = row.standing;
  if (!place) return el("span", { title: "AP is undefined" }, NONE);
  const told = place.last > place.rank
    ? `rank ${place.rank}; paired intervals leave any rank from ${place.rank} to ${place.last} open` : `rank ${place.rank}`;
  return el("span", { class: "figure", title: told }, String(place.rank), place.last > place.rank && small(`–${place.last}`));
}

function nameCell(row) {
  const made = [row.detector, row.format === "wildbench" ? null : row.format].filter(Boolean).join(" · ");
  return [rowLink(row.id, row.name), row.trusted && small(" trusted"), made && el("span", { class: "under" }, breakable(made))];
}

function apCell(row, section) {
  const ap = row.accuracy.ap;
  return el("span", { class: "spread", title: account("AP", ap, percent, "%") },
    el("span", { class: "figure" }, has(ap) ? percent(ap.v) : NONE,
      ap.i && el("span", { class: "under" }, between(ap, percent))),
    whisker(ap, section.range));
}

function latencyCell(row) {
  if (!row.latency) return number("latency", null, significant, "");
  const p50 = row.latency.p50;
  return [number("time over that of the reference network", row.latency.reference_ratio, significant, "×"),
    has(p50) && el("span", { class: "under", title: `${account("p50", p50, significant, "ms")}; ${row.latency.hardware}` }, `${significant(p50.v)} ms`)];
}

function lossCell(row) {
  if (!row.parent) return el("span", { title: "it names no dense parent" }, NONE);
  const found = row.parent.ap;
  if (!has(found)) return el("span", { title: told(found.r) }, NONE);
  return el("span", { class: "figure", title: account(`AP less that of ${row.parent.name}`, found, signed, "points") },
    signed(found.v), found.i && el("span", { class: "under" }, between(found, signed)));
}

function marksCell(row, section) {
  const marks = marksOf(section, row);
  if (!marks.length) return el("span", { title: "on no Pareto front" }, NONE);
  return el("span", { class: "marks" }, marks.map((kind) => el("span", { class: "mark", title: kind.told }, kind.mark)));
}

// `by` gives what to sort by (null goes last); `up` is whether less is better, and so what a first click asks for.
const COLUMNS = [
  { key: "rank", head: "Rank", by: (row) => row.standing?.rank ?? null, up: true, cell: rankCell, number: true },
  { key: "name", head: "Name", by: (row) => row.name.toLowerCase(), up: true, cell: nameCell },
  { key: "method", head: "Method", by: (row) => row.method?.toLowerCase() ?? null, up: true, cell: (row) => (row.method ? el("span", { class: "clamped" }, row.method) : NONE) },
  { key: "ap", head: "AP", unit: "%, 95 % interval", by: (row) => value(row.accuracy.ap), cell: apCell, number: true },
  { key: "ap50", head: "AP50", unit: "%", by: (row) => value(row.accuracy.ap50), number: true,
    cell: (row) => number("AP50", row.accuracy.ap50, percent, "%") },
  { key: "bytes", head: "File", unit: "MB", by: (row) => value(row.size?.file_bytes), up: true, number: true,
    cell: (row) => number("file", row.size?.file_bytes, megabytes, "MB") },
  { key: "macs", head: "MACs", unit: "G an image", by: (row) => value(row.compute?.macs), up: true, number: true,
    cell: (row) => number("MACs", row.compute?.macs, gigamacs, "G") },
  { key: "latency", head: "Latency", unit: "× reference", by: (row) => value(row.latency?.reference_ratio), up: true,
    number: true, cell: latencyCell },
  { key: "loss", head: "Against parent", unit: "AP, points", by: (row) => value(row.parent?.ap), cell: lossCell, number: true },
  { key: "front", head: "Pareto front", unit: "of AP and", card: "Pareto front of AP and", by: (row, section) => marksOf(section, row).length || null,
    cell: marksCell },
];
