// AP50 of every category, for the rows the table shows: a table of its own, its cells coloured.

const HEAT = {
  light: [[247, 251, 255], [158, 202, 225], [49, 130, 189], [8, 48, 107]],
  dark: [[23, 30, 40], [24, 70, 120], [61, 139, 200], [206, 232, 255]],
};

function heat(share, theme) {
  const stops = HEAT[theme];
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return stops[low].map((one, channel) => Math.round(one + (place - low) * (stops[low + 1][channel] - one)));
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Black or white, whichever reads better: their contrast is never both below 4.5.
const inkOn = (rgb) => (1.05 / (luminance(rgb) + 0.05) >= (luminance(rgb) + 0.05) / 0.05 ? "#fff" : "#000");

function heatCell(row, category, theme) {
  const figure = row.per_category[category]?.ap50;
  const title = `${row.name}: ${account(`AP50 of ${category}`, figure, percent, "%")}`;
  if (!has(figure)) return el("td", { class: "number none", title }, NONE);
  const rgb = heat(figure.v, theme);
  return el("td", { class: "number", style: `background:rgb(${rgb});color:${inkOn(rgb)}`, title }, percent(figure.v, 0));
}

// Boxes of a category are those of the data set: every row that has the figure has the same n.
function boxesOf(section, category) {
  const found = section.rows.map((row) => row.per_category[category]?.ap50?.n).find((n) => n !== undefined);
  return found === undefined ? NONE : grouped(found);
}

function heatmap(section, rows, theme) {
  const categories = section.dataset.categories;
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "AP50 by category" },
    el("table", { class: "heat", "aria-label": "AP50 in % by category" },
      el("thead", {},
        el("tr", {}, el("th", { scope: "col" }, "Name"), categories.map((one) => el("th", { scope: "col", class: "tilted" }, el("span", {}, one)))),
        el("tr", { class: "boxes" }, el("th", { scope: "row" }, "n, boxes"), categories.map((one) => el("td", { class: "number" }, boxesOf(section, one))))),
      el("tbody", {}, rows.map((row) => el("tr", {},
        el("th", { scope: "row" }, rowLink(row.id, row.name)), categories.map((one) => heatCell(row, one, theme)))))));
}
