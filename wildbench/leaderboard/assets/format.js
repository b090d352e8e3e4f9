// How figures read: AP in %, bytes in MB, arithmetic in GMAC, always with the same digits in one column.
// A figure is {v: value, i: [low, high], n: count, r: why there is no value, c: what to know}.

const NONE = "–";
const has = (figure) => figure !== null && figure !== undefined && figure.v !== undefined;
const told = (number) => (number === undefined ? null : DATA.texts[number]);

const percent = (value, digits = 1) => (100 * value).toFixed(digits).replace("-", "−");
const signed = (value, digits = 1) => (value > 0 && Number((100 * value).toFixed(digits)) !== 0 ? "+" : "") + percent(value, digits);
const megabytes = (value) => significant(value / 1e6);
const gigamacs = (value) => significant(value / 1e9);

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

const shortHash = (hash) => hash.slice(0, 12);
const placeOf = (section) => [section.dataset.name, section.dataset.split].filter(Boolean).join(" ");
const nth = (count, one, many = `${one}s`) => `${grouped(count)} ${count === 1 ? one : many}`;
