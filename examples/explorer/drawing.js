// SVG by hand: elements, scales and the shapes that the plots share.

const SVG = 'http://www.w3.org/2000/svg';

/** An SVG element with attributes and children; a string child is its text. */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An HTML element, likewise. */
function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const subscript = (j) => [...String(j)].map((digit) => '₀₁₂₃₄₅₆₇₈₉'[digit]).join('');
const superscript = (j) => [...String(j)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]).join('');
/** Markup with the symbols D, g, π and G each in its colour. */
function coloured(markup) {
  const classes = { D: 'symbol-D', g: 'symbol-g', π: 'symbol-pi', G: 'symbol-G' };
  const symbols = /<[^>]*>|&\w+;|π|(?<!\w)[DgG](?!\w)/g;
  return markup.replace(symbols, (found) =>
    classes[found] ? `<span class="${classes[found]}">${found}</span>` : found,
  );
}

const theta_ = (j) => `θ${subscript(j + 1)}`;

/** Four decimals, with a true minus and no minus before zero. */
function decimals(x, digits = 4) {
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? text.replace('-', '') : text).replace('-', '−');
}

/** The largest of 1, 2 and 5 times a power of ten that is at most x. */
function roundStep(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return [5, 2, 1].map((k) => k * power).find((step) => step <= x * (1 + 1e-12));
}

/** A tick's text, without the noise of binary fractions. */
const tick = (x) => String(Number(x.toPrecision(6))).replace('-', '−');

/**
 * The ellipse of one standard deviation of a 2×2 covariance: semi-axes, and the angle of the longer
 * in degrees.
 */
function ellipseOf([[a, b], [, c]]) {
  const half = (a + c) / 2;
  const root = Math.hypot((a - c) / 2, b);
  const angle = root > 0 ? (Math.atan2(2 * b, a - c) / 2) * (180 / Math.PI) : 0;
  return { major: Math.sqrt(half + root), minor: Math.sqrt(Math.max(half - root, 0)), angle };
}

/** An arrow from one point to another: a shaft and a head that never is longer than the way. */
function arrow([x1, y1], [x2, y2], attributes) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length < 0.5) return draw('circle', { cx: x1, cy: y1, r: 3, ...attributes });
  const head = Math.min(11, length);
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const [bx, by] = [x2 - head * ux, y2 - head * uy];
  const side = 0.42 * head;
  return draw(
    'g',
    attributes,
    draw('line', { x1, y1, x2: bx, y2: by, 'stroke-width': 2.5 }),
    draw('path', {
      d: `M${x2} ${y2}L${bx - side * uy} ${by + side * ux}L${bx + side * uy} ${by - side * ux}Z`,
      stroke: 'none',
    }),
  );
}

/** A diamond: the mark of a mean. */
const diamond = ([x, y], r, attributes) =>
  draw('path', { d: `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`, ...attributes });

const label = (text, [x, y], attributes = {}) => draw('text', { x, y, 'text-anchor': 'middle', ...attributes }, text);

/** Round numbers from `low` to `high`, about `count` of them. */
function ticksBetween(low, high, count) {
  const step = roundStep((high - low) / Math.max(1, count - 1));
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

/**
 * The axes of a chart: its svg with grid, ticks and names, and `at`, which places a point. x and y
 * are { range, name, ticks, text }, where ticks and text may be left out.
 */
function chart({ width = 500, height = 262, left = 66, top = 14, x, y, described }) {
  const [right, bottom] = [width - 22, height - 48];
  const place = ({ range: [low, high] }, from, to) => {
    const unit = (to - from) / Math.max(high - low, 1e-300);
    return (value) => from + unit * (value - low);
  };
  const [atX, atY] = [place(x, left, right), place(y, bottom, top)];
  const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': described });
  const grid = draw('g', { class: 'grid' });
  for (const value of x.ticks ?? ticksBetween(...x.range, 6)) {
    grid.append(draw('line', { x1: atX(value), y1: top, x2: atX(value), y2: bottom }));
    grid.append(label((x.text ?? tick)(value), [atX(value), bottom + 17], { class: 'tick' }));
  }
  for (const value of y.ticks ?? ticksBetween(...y.range, 5)) {
    grid.append(draw('line', { x1: left, y1: atY(value), x2: right, y2: atY(value) }));
    const text = (y.text ?? tick)(value);
    grid.append(label(text, [left - 7, atY(value) + 4], { class: 'tick', 'text-anchor': 'end' }));
  }
  grid.append(label(x.name, [(left + right) / 2, bottom + 40]));
  const turned = `rotate(-90 12 ${(top + bottom) / 2})`;
  if (y.name) grid.append(label(y.name, [12, (top + bottom) / 2 + 4], { transform: turned }));
  svg.append(grid);
  return { svg, at: ([a, b]) => [atX(a), atY(b)], box: { left, right, top, bottom } };
}

/** The path through these points of the drawing. */
const pathThrough = (points) => `M${points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join('L')}`;
