// How figures read: each in the unit and with the digits of its measure, so always the same in one column.
// A figure is {v: value, i: [low, high], n: count, r: why there is no value, c: what to know}.

const NONE = "–";
const has = (figure) => figure !== null && figure !== undefined && figure.v !== undefined;
const told = (number) => (number === undefined ? null : DATA.texts[number]);

const percent = (value, digits = 1) => (100 * value).toFixed(digits).replace("-", "−");

const MEASURES = new Map(DATA.measures.map((measure) => [measure.key, measure]));
const RANKED = MEASURES.get(DATA.ranked_by); // what ranks go by, and charts set against a cost
const rankedBy = (row) => row.figures[DATA.ranked_by];
const unitOf = (measure) => ({ 1: "", x: "×" })[measure.shown_unit] ?? measure.shown_unit;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const headingOf = (measure) => [capital(measure.title), unitOf(measure)].filter(Boolean).join(", ");

// In the unit that is shown; a value too small for the digits of its measure keeps three that matter.
const readAs = (measure) => (value) => {
  const shown = value * measure.scale;
  const text = shown.toFixed(measure.digits);
  return Number(text) === 0 && shown !== 0 ? significant(shown) : text.replace("-", "−");
};

const signed = (value) => (value > 0 && Number(readAs(RANKED)(value)) !== 0 ? "+" : "") + readAs(RANKED)(value);

// Three digits that matter, and no exponent.
function significant(value) {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6)).replace("-", "−");
}

const grouped = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
const between = (figure, read) => (figure.i ? `${read(figure.i[0])} to ${read(figure.i[1])}` : null);

// What a figure is and rests on, in one sentence: tooltips and screen readers get this.
function account(name, figure, read, unit) {
  if (!figure) return `${name}: not measured`;
  if (!has(figure)) return `${name}: no value, ${told(figure.r)}`;
  const parts = [`${name} ${read(figure.v)} ${unit}`.trim()];
  if (figure.i) parts.push(`95 % interval ${between(figure, read)}`);
  if (figure.n !== undefined) parts.push(`n = ${grouped(figure.n)}`);
  if (figure.c !== undefined) parts.push(told(figure.c));
  return parts.join("; ");
}

const accountOf = (measure, figure) => account(capital(measure.title), figure, readAs(measure), unitOf(measure));

const shortHash = (hash) => hash.slice(0, 12);
const placeOf = (section) => [section.dataset.name, section.dataset.split].filter(Boolean).join(" ");
const nth = (count, one, many = `${one}s`) => `${grouped(count)} ${count === 1 ? one : many}`;
