// A row's own page: every headline with its interval and n, where it comes from, and why it is as it is.

function figureRow(name, figure, read, unit) {
  if (!figure) return null;
  const cells = [unit ? `${name}, ${unit}` : name, has(figure) ? read(figure.v) : NONE, between(figure, read) ?? "", figure.n === undefined ? "" : grouped(figure.n)];
  return { cells, why: told(figure.r ?? figure.c) };
}

// Figures under each other; what is to be known of them stands below, once, with a letter to find it by.
function figureTable(caption, headings, found) {
  const rows = found.filter(Boolean);
  const notes = [...new Set(rows.map((row) => row.why).filter(Boolean))];
  const letter = (note) => String.fromCharCode(97 + notes.indexOf(note));
  return [plainTable(caption, headings, rows.map(({ cells: [name, ...rest], why }) => [why ? [name, el("sup", {}, ` ${letter(why)}`)] : name, ...rest])),
    notes.length > 0 && el("p", { class: "notes" }, notes.map((note) => [el("sup", {}, `${letter(note)} `), `${note}. `]))];
}

// Every measure of the row of which more is better, or less.
function measureRows(row, better) {
  return DATA.measures.filter((measure) => measure.better === better && row.figures[measure.key]).map((measure) => {
    const { cells, why } = figureRow(capital(measure.title), row.figures[measure.key], readAs(measure), unitOf(measure));
    const place = row.within[measure.key];
    return { cells, why: [why, place && `compares within: ${place}`].filter(Boolean).join("; ") };
  });
}

function facts(row, detail) {
  const hash = (text) => el("code", {}, text);
  const pairs = [["Method", row.method], ["Detector", row.detector && breakable(row.detector)], ["Format", row.format + (["part", "process"].includes(row.isolation) ? ", not all walls stood" : "")],
    ["Measured by", row.machine ?? "its submitter: self-reported, without a rank"],
    ["Same detections or weights as", row.identical_to.length ? row.identical_to.flatMap((id, place) => [place ? ", " : null, rowLink(id, id)]) : null],
    ["Authors", row.authors.join(", ")], ["Licence", row.licence], ["Trained on", row.training_data],
    ["Environment", detail.environment], ["Detections", grouped(detail.detections)],
    ["File SHA-256", hash(row.sha256)], ["Scorecard SHA-256", hash(row.card_sha256)]];
  return el("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function lineageBlock(row, section) {
  if (!row.parent) return el("section", { class: "block" }, el("h3", {}, "Lineage"), el("p", {}, "Its manifest names no parent."));
  const byId = new Map(section.rows.map((one) => [one.id, one]));
  const chain = [...row.lineage].reverse().map((id) => byId.get(id)).filter(Boolean);
  const parent = row.parent;
  const step = (one) => el("li", {}, one === row ? el("strong", {}, one.name) : rowLink(one.id, one.name), " ",
    el("code", {}, shortHash(one.sha256)), one.method && el("span", { class: "under" }, one.method));
  const rows = [figureRow(`${RANKED.title} less the parent's`, parent.ap, signed, "points"),
    ...Object.entries(parent.costs).map(([key, figure]) => figureRow(`${capital(MEASURES.get(key)?.title ?? key)} over the parent's`, figure, significant))];
  return el("section", { class: "block" }, el("h3", {}, "Lineage"),
    el("p", { class: "how" }, "By the SHA-256 of the parent that each manifest states. AP is compared on the same resampled images."),
    el("ol", { class: "lineage" }, chain.length ? null : el("li", {}, "a parent that is not on the board ", el("code", {}, parent.sha256)),
      [...chain, row].map(step)),
    figureTable("Against its parent", ["Figure", "Value", "95 % interval", "n"], rows));
}

// Boxes over an image; what both detectors have is drawn thin and, so that the animal stays to be seen, without words.
function overlay(picture, boxes, name, named) {
  const image = el("img", { src: DATA.images[picture.jpeg], alt: "", width: picture.width, height: picture.height });
  const [w, h] = [picture.width, picture.height];
  const shapes = boxes.map((seen) => {
    const [x, y, width, height] = [seen.box[0] * w, seen.box[1] * h, seen.box[2] * w, seen.box[3] * h];
    const text = seen.category + (seen.score === undefined ? "" : ` ${seen.score.toFixed(2)}`);
    const size = w / 30;
    return svg("g", { class: seen.alone ? "alone" : "shared" }, svg("rect", { x, y, width, height, "stroke-width": w / (seen.alone ? 160 : 320) }),
      (seen.alone || named) && svg("text", { x: Math.min(x + 2, Math.max(0, w - text.length * size * 0.6)), y: y > size * 1.3 ? y - size * 0.35 : y + size * 1.05, "font-size": size, "stroke-width": size / 5 }, text));
  });
  const words = boxes.length ? boxes.map((seen) => `${seen.category}${seen.score === undefined ? "" : ` ${seen.score.toFixed(2)}`}${seen.alone ? " (it alone)" : ""}`).join(", ") : "nothing";
  return el("figure", {}, el("figcaption", {}, el("strong", {}, name), `: ${words}`),
    el("div", { class: "overlay" }, image, svg("svg", { viewBox: `0 0 ${w} ${h}`, "aria-hidden": "true" }, shapes)));
}

function picturesBlock(row, detail) {
  const head = el("h3", {}, "Where it and its parent disagree");
  if (!detail.pictures.length) return el("section", { class: "block wide" }, head, el("p", {}, `No pictures: ${detail.no_pictures}.`));
  const [dense, own] = detail.thresholds;
  return el("section", { class: "block wide" }, head,
    el("p", { class: "how" }, `The ${nth(detail.pictures.length, "image")} of the split with most detections that only one of the two has (thick boxes); `
      + `each from the score at which its F1 is best: ${dense.toFixed(2)} for ${row.parent.name}, ${own.toFixed(2)} for ${row.name}. The images are rendered by wildbench.`),
    detail.pictures.map((picture) => el("div", { class: "triple", role: "group", "aria-label": picture.file_name },
      overlay(picture, picture.labels.map((seen) => ({ ...seen, alone: false })), "Labels", true),
      overlay(picture, picture.dense, row.parent.name), overlay(picture, picture.compressed, row.name))));
}

function categoryTable(row) {
  const rows = Object.entries(row.per_category).map(([name, { ap, ap50 }]) => ({
    cells: [name, has(ap) ? percent(ap.v) : NONE, between(ap, percent) ?? "", has(ap50) ? percent(ap50.v) : NONE, between(ap50, percent) ?? "", ap50.n === undefined ? "" : grouped(ap50.n)],
    why: [...new Set([ap, ap50].map((figure) => told(figure.r ?? figure.c)).filter(Boolean))].join("; ") }));
  return figureTable("Accuracy by category", ["Category", "AP, %", "95 % interval", "AP50, %", "95 % interval", "n, boxes"], rows);
}

function rowPage(row, section) {
  const detail = DATA.details[row.id];
  const charts = [];
  const grid = el("div", { class: "grid" });
  const add = (chart) => { charts.push(chart); grid.append(chart.node); };
  const curves = el("div", { class: "slot" });
  const showCurves = (category, focus) => {
    const chart = curvesChart(row, detail, category, (other) => { showCurves(other, true).show(); });
    [...drawn.keys()].filter((host) => curves.contains(host)).forEach(forget);
    curves.replaceChildren(chart.node);
    if (focus) chart.node.querySelector("select").focus();
    return chart;
  };
  if (detail.curves) { charts.push({ show: () => showCurves("").show() }); grid.append(curves); }
  else grid.append(el("section", { class: "block" }, el("h3", {}, "Precision and recall"), el("p", {}, "The curves were not kept beside this card.")));
  fieldCharts(row, detail).forEach(add);
  add(errorsChart(row, detail));
  add(calibrationChart(row, detail));
  if (detail.timing) add(timingChart(row, detail));
  grid.append(lineageBlock(row, section));
  const bytes = detail.by_part ? bytesChart(row, detail)
    : { node: el("section", { class: "block" }, el("h3", {}, "Size by layer"), el("p", {}, "COCO results bring no model.")), show: () => {} };
  charts.push(bytes);
  const node = el("article", {},
    el("p", {}, el("a", { href: `#board=${encodeURIComponent(section.id)}` }, `← ${placeOf(section)}`)),
    el("h2", { tabindex: "-1", id: "title" }, row.name),
    !row.machine && el("p", { class: "lead" }, el("span", { class: "claim" }, "self-reported"), " The board's own machine has not measured this row: it takes no rank and stands on no front."),
    row.standing && el("p", { class: "lead" }, `Rank ${row.standing.rank}${row.standing.last > row.standing.rank ? ` to ${row.standing.last}` : ""} of ${section.rows.filter((one) => one.machine).length}`,
      has(rankedBy(row)) && ` · ${accountOf(RANKED, rankedBy(row))}`),
    facts(row, detail), detail.notes.length ? folded(`${nth(detail.notes.length, "note")} on labels and detections`, () => el("ul", {}, detail.notes.map((note) => el("li", {}, note)))) : null,
    grid, bytes.node, picturesBlock(row, detail),
    el("section", { class: "block wide" }, el("h3", {}, "All figures"), el("div", { class: "grid" },
      el("div", {}, figureTable("More is better", ["Figure", "Value", "95 % interval", "n"], measureRows(row, "higher"))),
      el("div", {}, categoryTable(row)),
      el("div", {}, measureRows(row, "lower").length ? figureTable("Less is better", ["Figure", "Value", "95 % interval", "n"], measureRows(row, "lower"))
        : el("p", { class: "how" }, "Size, arithmetic and time: COCO results bring no model to measure.")))));
  return { node, show: () => charts.forEach((chart) => chart.show()) };
}
