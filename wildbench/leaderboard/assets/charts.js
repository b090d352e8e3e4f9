// Charts are Vega-Lite specifications; this gives them the page's colours and makes them reachable by keyboard.

const drawn = new Map(); // host element → the view in it

function ink() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "muted", "line", "accent", "second", "third", "surface"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function look(colours) {
  const font = getComputedStyle(document.body).fontFamily;
  const words = { labelColor: colours.muted, titleColor: colours.text, labelFont: font, titleFont: font,
    labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 };
  return {
    background: null, font, view: { stroke: null },
    axis: { ...words, gridColor: colours.line, domainColor: colours.line, tickColor: colours.line, titlePadding: 8 },
    legend: { ...words, symbolSize: 60, orient: "top", title: null, columns: 4, labelLimit: 120 },
    range: { category: [colours.accent, colours.second, colours.third] },
  };
}

// Draw a chart into `host`, in place of what is there. `label` says in words what it shows.
async function draw(host, spec, label) {
  forget(host);
  const chart = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container",
    autosize: { type: "fit-x", contains: "padding" }, description: label, config: look(ink()), ...spec };
  const options = { ast: true, actions: false, renderer: "svg", defaultStyle: false, hover: false,
    tooltip: { theme: "page", disableDefaultStyle: true } };
  const ticket = Symbol(label);
  drawn.set(host, ticket);
  const result = await vegaEmbed(host, chart, options);
  if (drawn.get(host) !== ticket) return result.finalize();
  drawn.set(host, result);
  host.dataset.drawn = "yes";
  return result.view;
}

function forget(host) {
  drawn.get(host)?.finalize?.();
  drawn.delete(host);
  delete host.dataset.drawn;
}

function forgetAll() {
  [...drawn.keys()].forEach(forget);
}

// One stop of the tab key for all points; arrow keys go from point to point, Enter opens.
function reachable(host, selector, open) {
  const points = [...host.querySelectorAll(selector)].filter((point) => point.__data__?.datum);
  points.sort((a, b) => a.__data__.datum.x - b.__data__.datum.x);
  const focus = (place) => {
    points.forEach((point, other) => point.setAttribute("tabindex", other === place ? "0" : "-1"));
    points[place].focus();
  };
  points.forEach((point, place) => {
    point.setAttribute("tabindex", place === 0 ? "0" : "-1");
    point.setAttribute("role", "link");
    point.addEventListener("click", () => open(point.__data__.datum));
    point.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (event.key === "Enter") open(point.__data__.datum);
      if (step) focus((place + step + points.length) % points.length);
      if (step || event.key === "Enter") event.preventDefault();
    });
  });
}

// A chart with its heading, how it was obtained, and its figures in a table that opens.
function figureOf({ title, how, label, spec, table, controls }) {
  const host = el("div", { class: "chart", role: "figure", "aria-label": label });
  const node = el("section", { class: "block" }, el("h3", {}, title), how && el("p", { class: "how" }, how), controls, host,
    table && folded("The same in figures", table));
  if (!spec) host.replaceChildren(el("p", { class: "empty" }, "None of the rows that match has both figures."));
  return { node, host, show: () => (spec ? draw(host, spec(ink(), host.clientWidth), label) : null) };
}
