// What is shown follows the hash: #board=SECTION or #row=ID. Nothing is stored, except the theme that was chosen.

const main = document.querySelector("main");
const status = document.getElementById("status");
const views = new Map();
const choice = { cost: null, within: null, log: true };
let shown = null; // redraws the charts of what is shown, for another theme

for (const section of DATA.sections) {
  const ends = section.rows.map(rankedBy).flatMap((figure) => (has(figure) ? [figure.v, ...(figure.i ?? [])] : []));
  section.range = ends.length ? [Math.min(...ends) - 0.01, Math.max(...ends) + 0.01] : [0, 1];
  views.set(section.id, freshView(section));
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");

function sectionHead(section) {
  const data = section.dataset;
  const uncertainty = section.uncertainty;
  const facts = [nth(section.rows.length, "row"), nth(data.images, "image"), nth(data.boxes, "box", "boxes"), nth(data.categories.length, "category", "categories"), `protocol ${section.protocol}`];
  return [el("h2", { tabindex: "-1", id: "title" }, placeOf(section)), el("p", { class: "lead" }, facts.join(" · ")),
    folded("How to read this", () => el("div", { class: "prose" },
      el("p", {}, "Rows here were scored on the same images under the same protocol. A row is better than another where the paired 95 % interval of their difference in AP lies above zero, or where a row between them is. The rank is one more than the rows that are better; a small second number is the last rank a row may hold. Rows of which neither is better have ranks in common. Only what the board's own machine measured is ranked and drawn; a self-reported row shows what its submitter says. On the Pareto front of AP and a cost stands a row where no other costs as little at an AP as high."),
      el("p", {}, "Data set SHA-256: ", el("code", {}, data.sha256), "."),
      uncertainty && el("p", {}, `Intervals: ${uncertainty.method}; ${grouped(uncertainty.replicates)} draws of ${grouped(uncertainty.number_of_groups)} ${uncertainty.groups}, seed ${uncertainty.seed}.`),
      section.left_out.length > 0 && el("p", {}, `Not in the means, because these detectors do not know them: ${section.left_out.join(", ")}.`),
      el("p", {}, "Latency is end to end at batch 1; times compare on one hardware only, so the table gives the ratio to a small reference network that ran in between. MACs are multiply-accumulates per image. Every figure stands with its interval and n on its row's own page; pointing at it shows the same.")))];
}

function filters(view, change) {
  const formats = [...new Set(view.section.rows.map((row) => row.format))].sort();
  return el("div", { class: "controls", role: "search" },
    el("label", {}, "Filter", el("input", { type: "search", id: "filter", placeholder: "name, method, detector, author", value: view.text, autocomplete: "off", oninput: (event) => change({ text: event.target.value }) })),
    formats.length > 1 && el("label", {}, "Format", el("select", { id: "format", onchange: (event) => change({ format: event.target.value }) },
      el("option", { value: "" }, "all"), formats.map((one) => el("option", { value: one, selected: one === view.format }, one)))),
    el("label", { class: "check" }, el("input", { type: "checkbox", id: "front", checked: view.front, onchange: (event) => change({ front: event.target.checked }) }), "On a Pareto front"));
}

function showSection(section) {
  const view = views.get(section.id);
  const [picker, table, chart, heat] = ["slot", "slot", "slot", "slot"].map((name) => el("div", { class: name }));
  let [latest, soon] = [null, null];
  const drawChart = () => {
    if (!chart.isConnected) return;
    [...drawn.keys()].forEach(forget);
    const made = scatter(section, latest, choice, (changed) => {
      const active = document.activeElement?.id;
      Object.assign(choice, changed);
      drawChart();
      if (active) document.getElementById(active)?.focus();
    });
    chart.replaceChildren(made.node);
    Promise.resolve(made.show()).then(() => made.host && reachable(made.host, ".points_marks path", (datum) => { location.hash = `row=${encodeURIComponent(datum.id)}`; }));
  };
  const onsort = (key) => {
    const column = COLUMNS.find((one) => one.key === key);
    Object.assign(view, { up: view.sort === key ? !view.up : Boolean(column.up), sort: key, page: 0 });
    update(false);
    (table.querySelector(`[data-sort="${key}"]`)?.offsetParent ? table.querySelector(`[data-sort="${key}"]`) : picker.querySelector("select"))?.focus();
    status.textContent = `Sorted by ${column.head}, ${view.up ? "ascending" : "descending"}`;
  };
  const update = (filtered) => {
    const rows = sorted(view, matching(view));
    const some = rows.slice(view.page * PAGE, (view.page + 1) * PAGE);
    picker.replaceChildren(sortPicker(view, onsort));
    table.replaceChildren(boardTable(view, some, onsort),
      rows.length ? "" : el("p", { class: "empty" }, "No row matches. Clear the filter to see all."),
      pager(view, rows.length, (page) => { view.page = page; update(false); table.querySelector(".pager button:not(:disabled)").focus(); status.textContent = `Page ${page + 1}`; }) ?? "");
    heat.replaceChildren(heatmap(section, some, theme()));
    if (latest === null) { latest = rows; drawChart(); }
    if (filtered) { latest = rows; clearTimeout(soon); soon = setTimeout(drawChart, 120); } // not at every letter
    if (filtered) status.textContent = `${nth(rows.length, "row matches", "rows match")}`;
  };
  const change = (changed) => { Object.assign(view, changed, { page: 0 }); update(true); };
  main.replaceChildren(...sectionHead(section).flat(), filters(view, change), picker, el("section", { "aria-label": "Table" }, table), chart,
    el("section", { class: "block" }, el("h3", {}, "AP50 by category"),
      el("p", { class: "how" }, "In %, for the rows of the table as it stands. n is the number of boxes in the split: few boxes, wide intervals, which the page of a row states."), heat));
  update(false);
  shown = () => { drawChart(); heat.replaceChildren(heatmap(section, sorted(view, matching(view)).slice(view.page * PAGE, (view.page + 1) * PAGE), theme())); };
}

function showRow(row, section) {
  const page = rowPage(row, section);
  main.replaceChildren(page.node);
  page.show();
  shown = page.show;
}

function route(first) {
  const wanted = new URLSearchParams(location.hash.slice(1));
  forgetAll();
  let section = DATA.sections.find((one) => one.id === wanted.get("board")) ?? DATA.sections[0];
  const owner = DATA.sections.find((one) => one.rows.some((row) => row.id === wanted.get("row")));
  if (owner) {
    section = owner;
    const row = owner.rows.find((one) => one.id === wanted.get("row"));
    document.title = `${row.name}, ${placeOf(owner)} – wildbench leaderboard`;
    showRow(row, owner);
  } else {
    document.title = `${placeOf(section)} – wildbench leaderboard`;
    showSection(section);
  }
  document.querySelectorAll("#sections a").forEach((link) =>
    link.dataset.section === section.id ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
  if (first !== true) { scrollTo(0, 0); document.getElementById("title").focus({ preventScroll: true }); }
}

function navigation() {
  const nav = document.getElementById("sections");
  if (DATA.sections.length < 2) return nav.remove();
  const same = (section) => DATA.sections.filter((one) => placeOf(one) === placeOf(section)).length > 1;
  nav.append(...DATA.sections.map((section) => el("a", { href: `#board=${encodeURIComponent(section.id)}`, "data-section": section.id },
    placeOf(section), same(section) && small(` protocol ${section.protocol}, ${section.dataset.sha256.slice(0, 6)}`))));
}

function themes() {
  const picker = document.getElementById("theme");
  try { document.documentElement.dataset.theme = localStorage.getItem("wildbench-theme") ?? ""; } catch { /* a file opened without storage */ }
  picker.value = document.documentElement.dataset.theme ?? "";
  picker.addEventListener("change", () => {
    document.documentElement.dataset.theme = picker.value;
    try { localStorage.setItem("wildbench-theme", picker.value); } catch { /* the choice lasts as long as the page */ }
    shown();
  });
  dark.addEventListener("change", () => shown());
}

navigation();
themes();
addEventListener("hashchange", route);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash is the place in the board: following the link would leave it
  document.getElementById("title").focus();
});
route(true);
