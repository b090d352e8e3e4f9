// What a ranger sees: the empty filter, animals by their share of the picture, and slices; the parent's beside it.

const STEPS = [0, 10, 50, 100, 200, 400, 700, 1000]; // false alarms per 1,000 that the axis names
const SHARES = ["<0.5", "0.5-2", "2-10", ">10"]; // of a picture in percent, as far and near animals fill it
const whole = (value) => value.toFixed(0);

// The row and its parent, where that has such figures too, in the order in which they are drawn.
function withField(row, detail) {
  const parent = row.parent?.id ? DATA.details[row.parent.id]?.field : null;
  return [{ name: "this detector", seen: detail.field }, ...(parent ? [{ name: "its parent", seen: parent }] : [])]; // no name of a stranger is in a specification
}

const inTwo = (sides) => ({ field: "detector", type: "nominal", scale: { domain: sides.map((side) => side.name) },
  legend: sides.length > 1 ? { columns: 1, labelLimit: 320 } : null });

// What the filter does at the fixed recalls, and at the operating point.
function filterPoints({ name, seen }) {
  const screen = seen.empty_filter;
  const points = Object.entries(screen.at_recall).map(([recall, point]) => ["circle", `keep ${percent(Number(recall), 0)} %`, point]);
  if (screen.at_operating_point) points.push(["diamond", "operating point", screen.at_operating_point]);
  return points.filter(([, , point]) => has(point.recall) && has(point.false_alarms)).map(([shape, what, point]) => ({
    detector: name, shape, recall: point.recall.v, alarms: point.false_alarms.v,
    told: `${name}, ${what}, from score ${point.threshold.v.toFixed(2)} on: ${percent(point.recall.v)} % kept; ${account("false alarms", point.false_alarms, whole, "per 1,000")}` }));
}

function filterChart(row, detail) {
  const sides = withField(row, detail).filter((side) => side.seen.empty_filter.curve);
  const screen = detail.field.empty_filter;
  const lines = sides.flatMap(({ name, seen }) => seen.empty_filter.curve.thresholds.map((threshold, place) => ({ detector: name, place,
    recall: seen.empty_filter.curve.recall[place], alarms: 1000 * seen.empty_filter.curve.false_alarms[place] })));
  const points = sides.flatMap(filterPoints);
  const least = Math.min(0.8, ...points.map((one) => one.recall)) - 0.05;
  const color = inTwo(sides);
  const hard = screen.hard_negatives ? `, of which ${grouped(screen.hard_negatives)} may hold another animal: hard negatives, not true empties` : "";
  return figureOf({
    title: "As an empty filter",
    how: `Images with an animal that are kept, against empty images that are kept too, at every score; ${grouped(screen.with_animals)} images with an animal, ${grouped(screen.empty)} empty ones${hard}. Circles: 90, 95, 96 and 99 % kept; diamonds: the operating point.`,
    label: `Recall of images with animals against false alarms of ${row.name}${sides.length > 1 ? " and its parent" : ""}`,
    spec: sides.length === 0 ? null : () => ({
      height: 260,
      layer: [
        { data: { values: lines }, mark: { type: "line", strokeWidth: 2, clip: true, aria: false },
          encoding: { order: { field: "place" }, strokeDash: { ...color, scale: { domain: color.scale.domain, range: [[1, 0], [6, 3]] } } } },
        ...["circle", "diamond"].map((shape) => ({ data: { values: points.filter((one) => one.shape === shape) },
          mark: { type: "point", shape, filled: true, size: shape === "circle" ? 60 : 180, opacity: 1 },
          encoding: { description: { field: "told" }, tooltip: [{ field: "told", title: "point" }] } })),
      ],
      encoding: {
        x: { field: "alarms", type: "quantitative", scale: { type: "sqrt", domain: [0, 1000] }, axis: { title: "False alarms per 1,000 empty images", values: STEPS } },
        y: { field: "recall", type: "quantitative", scale: { domain: [least, 1], nice: false }, axis: { format: "~%", title: "Images with animals kept", tickCount: 5 } },
        color,
      },
    }),
    table: () => plainTable("What the filter does", ["Detector, images kept", "From score", "False alarms per 1,000", "Empties removed, %"],
      withField(row, detail).flatMap(({ name, seen }) => Object.entries(seen.empty_filter.at_recall).map(([recall, point]) => [`${name}, ${percent(Number(recall), 0)} %`,
        has(point.threshold) ? point.threshold.v.toFixed(2) : NONE, withEnds(point.false_alarms, whole), withEnds(point.empties_removed, (value) => percent(value, 0))]))),
  });
}

const withEnds = (figure, read) => (has(figure) ? `${read(figure.v)}${figure.i ? ` [${between(figure, read)}]` : ""}` : NONE);

// Figures in percent with their intervals, one row of the chart for each name; `mark` is a bar or a point.
function spans(values, sides, mark, title) {
  const color = inTwo(sides);
  const rows = new Set(values.map((one) => one.name)).size;
  return (colours) => ({
    height: Math.max(90, rows * (sides.length > 1 ? 46 : 30) + 30), data: { values },
    layer: [
      { mark: { ...mark, aria: true }, encoding: { x: { field: "value", type: "quantitative", title, scale: { domain: [0, 100] }, axis: { tickCount: 5 } }, color,
        description: { field: "told" }, tooltip: [{ field: "told", title: "figure" }] } },
      { transform: [{ filter: "isValid(datum.low)" }], mark: { type: "rule", strokeWidth: 1.5, color: colours.text, aria: false }, encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } } },
    ],
    encoding: {
      y: { field: "name", type: "nominal", sort: { field: "place", op: "min" }, title: null, axis: { domain: false, ticks: false, labelLimit: 160, labelPadding: 6 } },
      yOffset: { field: "detector", type: "nominal", scale: { domain: sides.map((side) => side.name) } },
    },
  });
}

const span = (detector, name, place, figure, title) => ({ detector, name, place, value: 100 * figure.v, low: figure.i && 100 * figure.i[0], high: figure.i && 100 * figure.i[1],
  told: account(`${detector}, ${name}: ${title}`, figure, percent, "%") });

function sharesChart(row, detail) {
  const sides = withField(row, detail);
  const values = sides.flatMap(({ name, seen }) => SHARES.filter((share) => has(seen.recall_by_share[share])).map((share) => span(name, `${share} % of picture`, SHARES.indexOf(share), seen.recall_by_share[share], "found")));
  const stated = has(detail.field.operating_point.threshold) ? "its operating point" : "which keeps 95 % of the images with animals";
  return figureOf({
    title: "Small and far animals",
    how: `Animals that are found at IoU 0.50, by how much of the picture they fill, from score ${detail.field.recall_threshold.toFixed(2)} on, ${stated}.`,
    label: `Share of the animals found, by their share of the picture, of ${row.name}${sides.length > 1 ? " and its parent" : ""}`,
    spec: values.length ? spans(values, sides, { type: "bar", opacity: 0.55, cornerRadiusEnd: 2 }, "Found, %") : null,
    table: () => plainTable("Found by share of the picture", ["Share of the picture", ...sides.map((side) => `${side.name}, %`), "Animals"],
      SHARES.map((share) => [`${share} %`, ...sides.map(({ seen }) => withEnds(seen.recall_by_share[share], percent)), grouped(detail.field.recall_by_share[share].n ?? 0)])),
  });
}

function sliceChart(row, detail, field) {
  const own = detail.field.slices[field];
  const sides = withField(row, detail).filter(({ seen }) => seen.slices[field]);
  const order = Object.entries(own.slices).filter(([, one]) => has(one.ap50)).sort(([, a], [, b]) => a.ap50.v - b.ap50.v).map(([name]) => name);
  const values = sides.flatMap(({ name, seen }) => order.filter((slice) => has(seen.slices[field].slices[slice]?.ap50)).map((slice) => span(name, slice, order.indexOf(slice), seen.slices[field].slices[slice].ap50, "AP50")));
  return figureOf({
    title: `By ${field.replaceAll("_", " ")}`,
    how: `AP50 of each, lowest first. ${capital(own.verdict)}.${own.drawn === "images within locations" ? " Intervals hold for other images of these places, not for other places." : ""}`,
    label: `AP50 by ${field} of ${row.name}${sides.length > 1 ? " and its parent" : ""}, lowest first: ${order.slice(0, 3).join(", ")}`,
    spec: values.length ? spans(values, sides, { type: "point", filled: true, size: 70, opacity: 1 }, "AP50, %") : null,
    table: () => plainTable(`Figures by ${field}`, ["Slice", "Images", "AP50, %", "Animals kept, %", "False alarms per 1,000"],
      Object.entries(own.slices).map(([name, one]) => [name, grouped(one.images), withEnds(one.ap50, percent), withEnds(one.recall, percent), withEnds(one.false_alarms, whole)])),
  });
}

function fieldCharts(row, detail) {
  return detail.field ? [filterChart(row, detail), sharesChart(row, detail), ...Object.keys(detail.field.slices).map((field) => sliceChart(row, detail, field))] : [];
}
