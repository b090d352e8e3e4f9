// AP against a cost, with 95 % intervals and the Pareto front, of rows whose costs compare: milliseconds within one
// hardware only, say.

const COSTS = DATA.measures.filter((measure) => DATA.sections.some((section) => section.fronts.some((front) => front.axis === measure.key)));
const costOf = (front) => MEASURES.get(front.axis);
const costName = (front) => headingOf(costOf(front));
const costPlace = (front) => (front.within ? `, within ${front.within}` : "");

// The front that was chosen, or the nearest to it that this section has.
function chosenFront(fronts, choice) {
  const alike = fronts.filter((front) => front.axis === choice.cost);
  return alike.find((front) => front.within === choice.within) ?? alike[0] ?? fronts[0];
}

function pointsOf(front, rows) {
  const cost = costOf(front);
  const same = (row) => (row.within[cost.key] ?? null) === front.within;
  return rows.filter((row) => row.machine && has(rankedBy(row)) && has(row.figures[cost.key]) && same(row)).map((row) => {
    const [ap, x] = [rankedBy(row), row.figures[cost.key]];
    const spread = (figure, scale, side) => (figure.i ? figure.i[side] * scale : null);
    return {
      id: row.id, name: row.name, x: x.v * cost.scale, xlow: spread(x, cost.scale, 0), xhigh: spread(x, cost.scale, 1),
      y: ap.v * RANKED.scale, low: spread(ap, RANKED.scale, 0), high: spread(ap, RANKED.scale, 1), front: front.rows.includes(row.id),
      told: `${row.name}: ${accountOf(RANKED, ap)}; ${accountOf(cost, x)}`
        + (front.rows.includes(row.id) ? "; on the Pareto front" : ""),
    };
  });
}

// A log scale from a nice number below the cheapest to one above the dearest, never less than a factor of four wide.
function logDomain(points) {
  const ends = points.flatMap((point) => [point.x, point.xlow, point.xhigh]).filter((x) => x > 0);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = Math.max(1.25, Math.sqrt(4 / (high / low)));
  return [low / room, high * room];
}

function linearDomain(points) {
  return [0, 1.06 * Math.max(...points.flatMap((point) => [point.x, point.xhigh ?? 0]))];
}

function apDomain(points) {
  const ends = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const room = Math.max(1, 0.06 * (high - low));
  return [Math.max(0, low - room), Math.min(RANKED.scale, high + room)];
}

const HEIGHT = 340;
const [AXIS_WIDTH, AXIS_HEIGHT, LETTER, LINE] = [56, 48, 6.8, 15]; // pixels, about

// A place beside each point for its name, where it covers no other name and no point; the rest go without.
function placeNames(points, width, [left, right], [bottom, top], log) {
  const share = (x) => (log ? Math.log(x / left) / Math.log(right / left) : (x - left) / (right - left));
  const plot = [width - AXIS_WIDTH, HEIGHT - AXIS_HEIGHT];
  const at = points.map((point) => [share(point.x) * plot[0], (1 - (point.y - bottom) / (top - bottom)) * plot[1]]);
  const taken = at.map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
  const free = (box) => box[0] >= 0 && box[2] <= plot[0] && box[1] >= 0 && box[3] <= plot[1]
    && taken.every((one) => box[2] < one[0] || box[0] > one[2] || box[3] < one[1] || box[1] > one[3]);
  const order = points.map((_, place) => place).sort((a, b) => points[b].front - points[a].front || points[b].y - points[a].y);
  const named = [];
  for (const place of order) {
    const [x, y] = at[place];
    const wide = LETTER * points[place].name.length;
    for (const [dx, dy] of [[9, -11], [-9, -11], [9, 13], [-9, 13]]) {
      const start = dx > 0 ? x + dx : x + dx - wide;
      const box = [start, y + dy - LINE / 2, start + wide, y + dy + LINE / 2];
      if (!free(box)) continue;
      taken.push(box);
      named.push({ ...points[place], dx, dy, align: dx > 0 ? "left" : "right" });
      break;
    }
  }
  return named;
}

function scatterSpec(front, points, log, colours, width) {
  const domains = [log ? logDomain(points) : linearDomain(points), apDomain(points)];
  const x = { field: "x", type: "quantitative", title: costName(front),
    scale: { type: log ? "log" : "linear", domain: domains[0], nice: false },
    axis: { format: "~r", tickCount: 6, grid: false, labelOverlap: true, labelFlush: true } };
  const y = { field: "y", type: "quantitative", title: headingOf(RANKED), scale: { domain: domains[1], nice: false }, axis: { tickCount: 6 } };
  const tooltip = [{ field: "told", title: "row" }];
  const colour = { condition: { test: "datum.front", value: colours.accent }, value: colours.muted };
  const rule = (ends, encoding) => (points.some((point) => point[ends] !== null) ? [{
    transform: [{ filter: `isValid(datum.${ends})` }], mark: { type: "rule", strokeWidth: 1.5, opacity: 0.35, aria: false },
    encoding: { ...encoding, color: colour } }] : []);
  const some = points.some((point) => point.front);
  const named = placeNames(points.length > 40 ? points.filter((point) => point.front) : points, width, ...domains, log);
  return {
    height: HEIGHT,
    data: { values: points },
    layer: [
      ...(some ? [{ transform: [{ filter: "datum.front" }],
        mark: { type: "line", interpolate: "step-after", strokeWidth: 1.5, opacity: 0.55, color: colours.accent, aria: false },
        encoding: { x, y, order: { field: "x" } } }] : []),
      ...rule("low", { x, y: { ...y, field: "low" }, y2: { field: "high" } }),
      ...rule("xlow", { x: { ...x, field: "xlow" }, x2: { field: "xhigh" }, y }),
      { name: "points", mark: { type: "point", size: 75, strokeWidth: 1.75, cursor: "pointer", fillOpacity: 1 },
        encoding: { x, y, tooltip, color: colour, fill: { condition: { test: "datum.front", value: colours.accent }, value: colours.surface },
          shape: { condition: { test: "datum.front", value: "circle" }, value: "diamond" },
          description: { field: "told" } } },
      ...(named.length ? [{ data: { values: named }, name: "names",
        mark: { type: "text", dx: { expr: "datum.dx" }, dy: { expr: "datum.dy" }, align: { expr: "datum.align" }, baseline: "middle",
          fontSize: 12, color: colours.text, aria: false },
        encoding: { x, y, text: { field: "name" } } }] : []),
    ],
  };
}

function scatterTable(front, points) {
  return plainTable(`${RANKED.title} against ${costName(front)}${costPlace(front)}`,
    ["Name", costName(front), "95 % interval", headingOf(RANKED), "95 % interval", "On the front"],
    [...points].sort((a, b) => a.x - b.x).map((point) => [rowLink(point.id, point.name), significant(point.x),
      point.xlow === null ? NONE : `${significant(point.xlow)} to ${significant(point.xhigh)}`, point.y.toFixed(1),
      point.low === null ? NONE : `${point.low.toFixed(1)} to ${point.high.toFixed(1)}`, point.front ? "yes" : "no"]));
}

// The chart with its switches; `choice` is kept by the caller, so that it outlives a new filter.
function scatter(section, rows, choice, redraw) {
  const { fronts } = section;
  const front = chosenFront(fronts, choice);
  if (!front) return emptyScatter("No measured row has both an AP and a cost.");
  const points = pointsOf(front, rows);
  const n = rows.map(rankedBy).find(has)?.n;
  const alike = fronts.filter((one) => one.axis === front.axis);
  const absent = rows.length - points.length;
  const controls = el("div", { class: "controls" },
    el("fieldset", { class: "switch" }, el("legend", {}, "Cost"), COSTS.map(({ key, title }) => el("label", {},
      el("input", { type: "radio", name: "cost", id: `cost-${key}`, checked: key === front.axis,
        disabled: !fronts.some((one) => one.axis === key), onchange: () => redraw({ cost: key, within: null }) }), el("span", {}, capital(title))))),
    alike.length > 1 && el("label", { class: "cost" }, "Within", el("select", { id: "within", onchange: (event) => redraw({ within: alike[event.target.value].within }) },
      alike.map((one, place) => el("option", { value: place, selected: one === front }, one.within ?? "rows measured otherwise")))),
    el("label", { class: "check" }, el("input", { type: "checkbox", id: "log", checked: choice.log, onchange: (event) => redraw({ log: event.target.checked }) }), "Log scale"));
  return figureOf({
    title: `${RANKED.title} against cost`, controls,
    how: `Filled circles lie on the Pareto front: no other row costs as little at an AP as high. Bars are 95 % intervals${n === undefined ? "" : `; n = ${grouped(n)} boxes`}. `
      + `Hypervolume ${significant(100 * front.hypervolume.v)} %: the best AP within a budget, averaged over budgets from ${costLimits(front)} on a log scale. A point opens its row.`
      + (absent ? ` ${nth(absent, "row that matches is", "rows that match are")} not drawn: without a cost that compares, or an ${RANKED.title}.` : ""),
    label: `${RANKED.title} against ${costName(front)}${costPlace(front)}: ${nth(points.length, "row")}, ${points.filter((point) => point.front).length} on the Pareto front`,
    spec: points.length ? (colours, width) => scatterSpec(front, points, choice.log, colours, width) : null,
    table: () => scatterTable(front, points),
  });
}

function emptyScatter(why) {
  return { node: el("section", { class: "block" }, el("h3", {}, `${RANKED.title} against cost`), el("p", {}, why)), show: () => {} };
}

function costLimits(front) {
  const cost = costOf(front);
  const [low, high] = front.limits.map((limit) => limit * cost.scale).map((limit) => (limit < 1 ? String(Number(limit.toPrecision(3))) : grouped(limit)));
  return `${low} to ${high} ${unitOf(cost)}`.trim();
}
