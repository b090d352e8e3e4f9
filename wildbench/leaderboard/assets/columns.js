// The columns of the board: what each shows, what it sorts by, and what a screen reader hears.

const HEADLINES = DATA.measures.filter((measure) => measure.headline);

// The costs of which a row is on a front; those without a column have no mark either.
function marksOf(section, row) {
  return HEADLINES.filter(({ key }) => section.fronts.some((front) => front.axis === key && front.rows.includes(row.id)));
}

const rowLink = (id, text) => el("a", { href: `#row=${encodeURIComponent(id)}` }, text);
const value = (figure) => (has(figure) ? figure.v : null);
const small = (...children) => el("span", { class: "small" }, ...children);


function figureCell(row, measure) {
  const figure = row.figures[measure.key];
  const place = row.within[measure.key];
  return el("span", { class: "figure", title: accountOf(measure, figure) + (place ? `; compares within: ${place}` : "") },
    has(figure) ? readAs(measure)(figure.v) : NONE);
}

// A figure on its interval, in the range of the section: for the eye only, the digits stand beside it.
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
  if (!row.machine) return el("span", { class: "claim", title: "the board's own machine has not measured this row" }, "self-reported");
  if (!place) return el("span", { title: `${RANKED.title} is undefined` }, NONE);
  const told = place.last > place.rank
    ? `rank ${place.rank}; paired intervals leave any rank from ${place.rank} to ${place.last} open` : `rank ${place.rank}`;
  return el("span", { class: "figure", title: told }, String(place.rank), place.last > place.rank && small(`–${place.last}`));
}

function nameCell(row) {
  const made = [row.detector, row.format === "wildbench" ? null : row.format].filter(Boolean).join(" · ");
  return [rowLink(row.id, row.name), ["part", "process"].includes(row.isolation) && small(" no jail"), row.identical_to.length > 0 && small(" same as ", row.identical_to.join(", ")), made && el("span", { class: "under" }, breakable(made))];
}

function rankedCell(row, section) {
  const figure = rankedBy(row);
  const read = readAs(RANKED);
  return el("span", { class: "spread", title: accountOf(RANKED, figure) },
    el("span", { class: "figure" }, has(figure) ? read(figure.v) : NONE,
      figure?.i && el("span", { class: "under" }, between(figure, read))),
    whisker(figure, section.range));
}

function lossCell(row) {
  if (!row.parent) return el("span", { title: "it names no dense parent" }, NONE);
  const found = row.parent.ap;
  if (!has(found)) return el("span", { title: told(found.r) }, NONE);
  return el("span", { class: "figure", title: account(`${RANKED.title} less that of ${row.parent.name}`, found, signed, "points") },
    signed(found.v), found.i && el("span", { class: "under" }, between(found, signed)));
}

function marksCell(row, section) {
  const marks = marksOf(section, row);
  if (!marks.length) return el("span", { title: "on no Pareto front" }, NONE);
  return el("span", { class: "marks" }, marks.map(({ title }) =>
    el("span", { class: "mark", title: `no other row has both a lower ${title} and a higher ${RANKED.title}` }, title)));
}

// `by` gives what to sort by (null goes last); `up` is whether less is better, and so what a first click asks for.
const COLUMNS = [
  { key: "rank", head: "Rank", by: (row) => row.standing?.rank ?? null, up: true, cell: rankCell, number: true },
  { key: "name", head: "Name", by: (row) => row.name.toLowerCase(), up: true, cell: nameCell },
  { key: "method", head: "Method", by: (row) => row.method?.toLowerCase() ?? null, up: true, cell: (row) => (row.method ? el("span", { class: "clamped" }, row.method) : NONE) },
  ...HEADLINES.map((measure) => ({
    key: `measure-${measure.key}`, head: capital(measure.title), number: true, up: measure.better === "lower",
    unit: measure === RANKED ? `${unitOf(measure)}, 95 % interval` : unitOf(measure), style: measure === RANKED ? "ranked" : "measure",
    by: (row) => value(row.figures[measure.key]),
    cell: measure === RANKED ? rankedCell : (row) => figureCell(row, measure),
  })),
  { key: "loss", head: "Against parent", unit: `${RANKED.title}, points`, by: (row) => value(row.parent?.ap), cell: lossCell, number: true },
  { key: "front", head: "Pareto front", unit: `of ${RANKED.title} and`, card: `Pareto front of ${RANKED.title} and`,
    by: (row, section) => marksOf(section, row).length || null, cell: marksCell },
];
