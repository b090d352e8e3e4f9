// The charts of one row's own page.

const KINDS = { cls: "wrong category", loc: "badly placed", both: "category and place", dup: "found twice", bkg: "on background", miss: "missed" };

function curvePoints(curve, name) {
  return Array.from({ length: 101 }, (_, step) => ({ recall: step / 100, precision: (curve[step] ?? 0) / 1000, curve: name }));
}

// Curves of categories come as value, count, value, count.
const unrolled = (runs) => Array.from({ length: runs.length / 2 }, (_, run) => Array(runs[2 * run + 1]).fill(runs[2 * run])).flat();

function curvesChart(row, detail, category, pick) {
  const all = category === "";
  const lines = all ? Object.entries(detail.curves.by_iou).map(([iou, curve]) => [`IoU ${iou}`, curve])
    : [[category, unrolled(detail.curves.per_category[category])]];
  const values = lines.flatMap(([name, curve]) => curvePoints(curve, name));
  const figure = all ? rankedBy(row) : row.per_category[category].ap50;
  const axis = (title) => ({ format: "~%", title, tickCount: 5 });
  const legend = all ? {} : null;
  return figureOf({
    title: "Precision and recall",
    how: "Interpolated as COCO does it, from the detections kept beside the card; "
      + (all ? "means over the categories at three thresholds of IoU. " : "at IoU 0.50. ")
      + `${all ? accountOf(RANKED, figure) : account(`AP50 of ${category}`, figure, percent, "%")}.`,
    label: `Precision against recall of ${row.name}${all ? ", mean over categories" : ` for ${category}`}`,
    controls: el("div", { class: "controls" }, el("label", {}, "Category", el("select", { id: "category", onchange: (event) => pick(event.target.value) },
      el("option", { value: "", selected: all }, "mean over all"),
      Object.keys(detail.curves.per_category).map((name) => el("option", { value: name, selected: name === category }, name))))),
    spec: () => ({
      height: 260, data: { values },
      mark: { type: "line", strokeWidth: 2, interpolate: "linear" },
      encoding: {
        x: { field: "recall", type: "quantitative", scale: { domain: [0, 1] }, axis: axis("Recall") },
        y: { field: "precision", type: "quantitative", scale: { domain: [0, 1] }, axis: axis("Precision") },
        color: { field: "curve", type: "nominal", legend },
        strokeDash: { field: "curve", type: "nominal", legend, scale: { range: [[1, 0], [6, 3], [2, 2]] } },
      },
    }),
    table: () => plainTable(`Precision in % at each recall`, ["Recall, %", ...lines.map(([name]) => name)],
      Array.from({ length: 11 }, (_, step) => [String(10 * step), ...lines.map(([, curve]) => percent((curve[10 * step] ?? 0) / 1000))])),
  });
}

// Bars with their figures beside them; `room` is how much longer than the longest bar the axis is.
function bars(values, title, height, room) {
  return (colours, width) => ({
    height, data: { values },
    layer: [
      { mark: { type: "bar", color: colours.accent, height: { band: 0.7 }, cornerRadiusEnd: 2 }, encoding: { description: { field: "told" }, tooltip: [{ field: "told", title: "figure" }] } },
      { mark: { type: "text", align: "left", dx: 5, fontSize: 12, color: colours.text, aria: false }, encoding: { text: { field: "shown" } } },
    ],
    encoding: {
      y: { field: "name", type: "nominal", sort: null, title: null, axis: { domain: false, ticks: false, labelLimit: width < 600 ? 150 : 320, labelPadding: 6, labelOverlap: false,
        labelExpr: width < 600 ? "length(datum.label) > 21 ? '…' + slice(datum.label, -20) : datum.label" : "datum.label" } },
      x: { field: "value", type: "quantitative", title, axis: { format: "~r", tickCount: 4 }, scale: { domainMin: 0, domainMax: Math.max(...values.map((one) => one.value), 1e-9) * room, nice: false } },
    },
  });
}

function errorsChart(row, detail) {
  const kinds = Object.keys(KINDS).filter((kind) => row.errors.tide[kind]);
  const gain = (kind) => row.errors.tide[kind];
  const values = kinds.filter((kind) => has(gain(kind))).map((kind) => ({ name: KINDS[kind], value: 100 * gain(kind).v, shown: percent(gain(kind).v),
    told: `${KINDS[kind]}: ${nth(detail.tide[kind], "error")}; without them AP50 would rise by ${percent(gain(kind).v)} points` }));
  const n = kinds.map(gain).find(has)?.n;
  return figureOf({
    title: "What the errors cost",
    how: `By how much AP50 would rise if errors of one kind were mended (TIDE, by hotcoco, IoU 0.5)${n === undefined ? "" : `; n = ${grouped(n)} boxes`}. The gains do not add up.`,
    label: `AP50 lost to each kind of error by ${row.name}: ${values.map((one) => `${one.name} ${one.shown}`).join(", ")}`,
    spec: bars(values, "AP50, points", 190, 1.2),
    table: () => plainTable("Kinds of error", ["Kind", "AP50, points", "Errors"], kinds.map((kind) =>
      [KINDS[kind], has(gain(kind)) ? percent(gain(kind).v) : NONE, grouped(detail.tide[kind])])),
  });
}

function calibrationChart(row, detail) {
  const bins = detail.calibration.filter((bin) => bin.detections);
  const values = bins.map((bin) => ({ ...bin, told: `score ${bin.score.toFixed(2)}, precision ${bin.precision.toFixed(2)}, ${nth(bin.detections, "detection")}` }));
  const axis = (title) => ({ format: "~%", title, tickCount: 5 });
  return figureOf({
    title: "Can its scores be believed?",
    how: `Each circle is a tenth of the range of scores; its area is the number of detections. On the dashed line scores are chances of being right. ${account("Expected calibration error", row.errors.ece, (x) => x.toFixed(3), "")}.`,
    label: `Precision against score of ${row.name}, in ${bins.length} bins`,
    spec: (colours) => ({
      height: 260,
      layer: [
        { data: { values: [{ score: 0, precision: 0 }, { score: 1, precision: 1 }] }, mark: { type: "line", strokeDash: [4, 4], color: colours.muted, strokeWidth: 1, aria: false } },
        { data: { values }, mark: { type: "line", color: colours.accent, strokeWidth: 1, opacity: 0.5, aria: false } },
        { data: { values }, mark: { type: "circle", color: colours.accent, opacity: 0.9 },
          encoding: { size: { field: "detections", type: "quantitative", legend: null, scale: { range: [20, 500] } }, description: { field: "told" }, tooltip: [{ field: "told", title: "bin" }] } },
      ],
      encoding: {
        x: { field: "score", type: "quantitative", scale: { domain: [0, 1] }, axis: axis("Mean score") },
        y: { field: "precision", type: "quantitative", scale: { domain: [0, 1] }, axis: axis("Precision") },
      },
    }),
    table: () => plainTable("Calibration by bin of score", ["Scores", "Detections", "Mean score", "Precision"], detail.calibration.map((bin) =>
      [`${bin.low.toFixed(1)} to ${bin.high.toFixed(1)}`, grouped(bin.detections), bin.score?.toFixed(3) ?? NONE, bin.precision?.toFixed(3) ?? NONE])),
  });
}

// Each fresh process as a dot, and p50 with its interval; minute by minute where it ran for long.
function timingChart(row, detail) {
  const { sessions, p50, minutes, alike } = detail.timing;
  const dots = sessions.map((time, place) => ({ place: place + 1, time, told: `session ${place + 1}: ${significant(time)} ms` }));
  const line = minutes.map((time, place) => ({ place: place + 1, time, told: `minute ${place + 1}: ${significant(time)} ms` }));
  const names = alike.join(", ");
  return figureOf({
    title: "Latency by session",
    how: `Median of each fresh process (dots)${has(p50) && p50.i ? ", and p50 with its 95 % interval" : ""}${minutes.length ? "; the line is a long run, minute by minute" : ""}.`
      + (alike.length ? ` It cannot be told apart from ${names} on the same hardware.` : ""),
    label: `Latency of ${row.name} in ${nth(sessions.length, "session")}${has(p50) ? `, p50 ${significant(p50.v)} ms` : ""}`,
    spec: sessions.length + minutes.length === 0 ? null : (colours) => ({
      height: 200,
      layer: [
        ...(has(p50) ? [{ data: { values: [{ time: p50.v, low: p50.i?.[0] ?? p50.v, high: p50.i?.[1] ?? p50.v }] },
          mark: { type: "rect", opacity: 0.15, color: colours.accent, aria: false }, encoding: { y: { field: "low", type: "quantitative" }, y2: { field: "high" } } }] : []),
        { data: { values: dots }, mark: { type: "circle", size: 80, color: colours.accent, opacity: 0.9 },
          encoding: { x: { field: "place", type: "quantitative" }, y: { field: "time", type: "quantitative" }, description: { field: "told" }, tooltip: [{ field: "told", title: "session" }] } },
        { data: { values: line }, mark: { type: "line", point: true, color: colours.muted, aria: false },
          encoding: { x: { field: "place", type: "quantitative" }, y: { field: "time", type: "quantitative" }, description: { field: "told" }, tooltip: [{ field: "told", title: "minute" }] } },
      ],
      encoding: { x: { axis: { title: minutes.length ? "Session, or minute" : "Session", tickMinStep: 1, format: "d" } }, y: { scale: { zero: false }, axis: { title: "ms", tickCount: 5 } } },
    }),
    table: () => plainTable("Sessions and minutes", ["", "p50, ms"], [...dots, ...line].map((one) => one.told.replace(" ms", "").split(": "))),
  });
}

const LAYERS = 60; // that a chart has room for

// Bytes by layer in the order of the network; by part, largest first, where the card does not tell of layers.
function bytesChart(row, detail) {
  const layers = detail.by_layer?.map((one) => [one.layer, one.bytes]);
  const all = layers ?? Object.entries(detail.by_part).filter(([, figure]) => has(figure)).map(([name, figure]) => [name, figure.v]).sort(([, a], [, b]) => b - a);
  const total = all.reduce((sum, [, bytes]) => sum + bytes, 0) || 1;
  const least = all.map(([, bytes]) => bytes).sort((a, b) => b - a)[LAYERS - 1] ?? 0;
  const drawnOnes = all.filter(([, bytes]) => bytes >= least).slice(0, LAYERS);
  const values = drawnOnes.map(([name, bytes]) => ({ name, value: bytes / 1e3, shown: significant(bytes / 1e3) + (bytes < total / 100 ? "" : ` (${percent(bytes / total, 0)} %)`),
    told: `${name}: ${grouped(bytes)} bytes` }));
  const kind = layers ? "layer" : "part";
  const largest = [...all].sort(([, a], [, b]) => b - a).slice(0, 3).map(([name, bytes]) => `${name} ${percent(bytes / total, 0)} %`).join(", ");
  return figureOf({
    title: `Size by ${kind}`,
    how: `Stored bytes by ${kind} of the network, read from the file; they sum to its ${grouped(total)} bytes.`
      + (layers ? " In the order of the network; what is no tensor comes last." : " The card does not tell of layers.")
      + (all.length > values.length ? ` The ${LAYERS} largest of ${all.length}.` : ""),
    label: `Bytes of ${row.name} by ${kind}, ${nth(all.length, kind)}; the largest: ${largest}`,
    spec: bars(values, "kB", Math.max(90, (values.length > 12 ? 18 : 32) * values.length + 40), 1.6),
    table: () => plainTable(`Bytes by ${kind}`, [layers ? "Layer" : "Part", "Bytes", "Share, %"], all.map(([name, bytes]) => [name, grouped(bytes), percent(bytes / total)])),
  });
}
