// AP against a cost, with 95 % intervals and the Pareto front.

const COSTS = {
  file_bytes: { name: "File size", unit: "MB", of: (row) => row.size?.file_bytes, per: 1e6 },
  macs: { name: "Arithmetic", unit: "GMAC an image", of: (row) => row.compute?.macs, per: 1e9 },
  latency_ratio: { name: "Latency", unit: "× reference network", of: (row) => row.latency?.reference_ratio, per: 1,
    same: (row) => row.latency?.reference },
  latency_p50: { name: "Latency p50", unit: "ms", of: (row) => row.latency?.p50, per: 1, same: (row) => row.latency?.hardware },
};

const costName = (front) => `${COSTS[front.axis].name}, ${COSTS[front.axis].unit}${front.axis === "latency_p50" ? `, on ${front.within}` : ""}`;

function pointsOf(front, rows) {
  const cost = COSTS[front.axis];
  return rows.filter((row) => has(row.accuracy.ap) && has(cost.of(row)) && (!cost.same || cost.same(row) === front.within)).map((row) => {
    const [ap, x] = [row.accuracy.ap, cost.of(row)];
    const spread = (figure, scale, side) => (figure.i ? figure.i[side] * scale : null);
    return {
      id: row.id, name: row.name, x: x.v / cost.per, xlow: spread(x, 1 / cost.per, 0), xhigh: spread(x, 1 / cost.per, 1),
      y: 100 * ap.v, low: spread(ap, 100, 0), high: spread(ap, 100, 1), front: front.rows.includes(row.id),
      told: `${row.name}: ${account("AP", ap, percent, "%")}; ${significant(x.v / cost.per)} ${cost.unit}`
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

function scatterSpec(front, points, log, colours) {
  const x = { field: "x", type: "quantitative", title: costName(front),
    scale: log ? { type: "log", domain: logDomain(points), nice: false } : { zero: true },
    axis: { format: "~r", tickCount: 6, grid: false, labelOverlap: true, labelFlush: true } };
  const y = { field: "y", type: "quantitative", title: "AP, %", scale: { zero: false, nice: true }, axis: { tickCount: 6 } };
  const tooltip = [{ field: "told", title: "row" }];
  const colour = { condition: { test: "datum.front", value: colours.accent }, value: colours.muted };
  const rule = (ends, encoding) => (points.some((point) => point[ends] !== null) ? [{
    transform: [{ filter: `isValid(datum.${ends})` }], mark: { type: "rule", strokeWidth: 1.5, opacity: 0.35, aria: false },
    encoding: { ...encoding, color: colour } }] : []);
  const some = points.some((point) => point.front);
  const named = points.length <= 12 || (some && points.filter((point) => point.front).length <= 8);
  return {
    height: 340,
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
      ...(named ? [{ transform: points.length > 12 ? [{ filter: "datum.front" }] : [],
        mark: { type: "text", dx: 9, dy: -9, align: "left", fontSize: 12, color: colours.text, limit: 150, aria: false },
        encoding: { x, y, text: { field: "name" } } }] : []),
    ],
  };
}

function scatterTable(front, points) {
  const cost = COSTS[front.axis];
  return plainTable(`AP against ${costName(front)}`, ["Name", cost.unit, "AP, %", "95 % interval", "On the front"],
    [...points].sort((a, b) => a.x - b.x).map((point) => [rowLink(point.id, point.name), significant(point.x), point.y.toFixed(1),
      point.low === null ? NONE : `${point.low.toFixed(1)} to ${point.high.toFixed(1)}`, point.front ? "yes" : "no"]));
}

// The chart with its switches; `choice` is kept by the caller, so that it outlives a new filter.
function scatter(section, rows, choice, redraw) {
  const front = section.fronts[choice.front] ?? section.fronts[0];
  if (!front) return emptyScatter("No row has both an AP and a cost.");
  const points = pointsOf(front, rows);
  const n = rows.find((row) => has(row.accuracy.ap))?.accuracy.ap.n;
  const controls = el("div", { class: "controls" },
    el("label", { class: "cost" }, "Cost", el("select", { id: "axis", onchange: (event) => redraw({ front: Number(event.target.value) }) },
      section.fronts.map((one, place) => el("option", { value: place, selected: one === front }, costName(one))))),
    el("label", { class: "check" }, el("input", { type: "checkbox", id: "log", checked: choice.log, onchange: (event) => redraw({ log: event.target.checked }) }), "Log scale"));
  return figureOf({
    title: "AP against cost", controls,
    how: `Filled circles lie on the Pareto front: no other row costs as little at an AP as high. Bars are 95 % intervals${n === undefined ? "" : `; n = ${grouped(n)} boxes`}. `
      + `Hypervolume ${significant(100 * front.hypervolume.v)} %: the best AP within a budget, averaged over budgets from ${costLimits(front)} on a log scale. A point opens its row.`,
    label: `AP against ${costName(front)}: ${nth(points.length, "row")}, ${points.filter((point) => point.front).length} on the Pareto front`,
    spec: points.length ? (colours) => scatterSpec(front, points, choice.log, colours) : null,
    table: () => scatterTable(front, points),
  });
}

function emptyScatter(why) {
  return { node: el("section", { class: "block" }, el("h3", {}, "AP against cost"), el("p", {}, why)), show: () => {} };
}

function costLimits(front) {
  const cost = COSTS[front.axis];
  const read = (value) => grouped(value / cost.per) === "0" ? String(value / cost.per) : grouped(value / cost.per);
  return `${read(front.limits[0])} to ${read(front.limits[1])} ${cost.unit}`;
}
