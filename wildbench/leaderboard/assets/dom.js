// Elements are made here and nowhere else: names from cards only ever become text, never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A table for reading: its caption, its headings, and rows of which the first cell is the row's heading.
function plainTable(caption, headings, rows) {
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    el("table", { class: "plain" },
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, headings.map((heading) => el("th", { scope: "col" }, heading)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, place) =>
        place === 0 ? el("th", { scope: "row" }, cell) : el("td", {}, cell)))))));
}

// A table that is made when somebody opens it.
function folded(title, make) {
  const details = el("details", { class: "folded" }, el("summary", {}, title));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(make());
  });
  return details;
}
