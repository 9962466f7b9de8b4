// The panel of integration rules: the slope g′ of the loss between two corners, and what each rule
// takes for the area below it.

/**
 * The slope's polynomial as coefficients of 1, t, t², … through these values at k/degree, by
 * Newton's divided differences.
 */
function polynomialThrough(values) {
  const degree = values.length - 1;
  const nodes = values.map((_, k) => (degree ? k / degree : 0));
  const differences = [...values];
  for (let order = 1; order <= degree; order++) {
    for (let k = degree; k >= order; k--) {
      differences[k] = (differences[k] - differences[k - 1]) / (nodes[k] - nodes[k - order]);
    }
  }
  // Horner's scheme over the nodes: p ← p · (t − t_k) + difference_k
  let p = [0];
  for (let k = degree; k >= 0; k--) {
    const times = [0, ...p];
    p = times.map((x, power) => x - nodes[k] * (p[power] ?? 0));
    p[0] += differences[k];
  }
  return p.slice(0, degree + 1);
}

const valueOf = (coefficients, t) => coefficients.reduceRight((sum, a) => sum * t + a, 0);
/** The integral from 0 to 1. */
const areaOf = (coefficients) => sum(coefficients.map((a, power) => a / (power + 1)));

/** The rules: what each takes for the area, and up to which degree of the slope it is exact. */
const RULES = [
  {
    name: 'rectangle',
    title: 'Rectangle',
    exactTo: () => 0,
    used: 'Straight-Through, with the sample at 0',
    area: (h) => h(0),
  },
  {
    name: 'trapezoid',
    title: 'Trapezoid',
    exactTo: () => 1,
    used: 'ReinMax, on average over D',
    area: (h) => (h(0) + h(1)) / 2,
  },
  {
    name: 'beta',
    title: 'β rule',
    exactTo: (beta) => (Math.abs(beta - 0.5) < 1e-12 ? 1 : 0),
    used: 'ReinMax-RK2, on average',
    area: (h, beta) => (1 - beta) * h(0) + beta * h(1),
  },
  { name: 'midpoint', title: 'Midpoint', exactTo: () => 1, used: 'a second pass, half-way', area: (h) => h(0.5) },
  {
    name: 'simpson',
    title: 'Simpson',
    exactTo: () => 3,
    used: 'both ends and half-way',
    area: (h) => (h(0) + 4 * h(0.5) + h(1)) / 6,
  },
];

/** Areas by each rule, and the exact one, for a slope through these values. */
function ruleAreas({ values, beta }) {
  const coefficients = polynomialThrough(values);
  const h = (t) => valueOf(coefficients, t);
  const areas = RULES.map(({ name, area }) => [name, area(h, beta)]);
  return { exact: areaOf(coefficients), ...Object.fromEntries(areas) };
}

const RULE_RANGE = [-3, 3];
/** Names of the places k/degree. */
const PLACES = { 1: ['0', '1'], 2: ['0', '½', '1'], 3: ['0', '⅓', '⅔', '1'], 4: ['0', '¼', '½', '¾', '1'] };

function buildRule() {
  const { rule } = state;
  const degree = rule.values.length - 1;
  const degrees = [0, 1, 2, 3, 4].map((d) => [d, `${d}, so that f has degree ${d + 1}`]);
  const setDegree = (text) => {
    const coefficients = polynomialThrough(rule.values);
    const to = Number(text);
    const rounded = (x) => Number(Math.min(3, Math.max(-3, Math.round(x * 20) / 20)).toFixed(2));
    rule.values = Array.from({ length: to + 1 }, (_, k) => rounded(valueOf(coefficients, to ? k / to : 0.5)));
  };
  const range = { min: -3, max: 3, step: 0.05, describedBy: 'rule-points-help' };
  const points = rule.values.map((value, k) => {
    return slider(
      `rule-point-${k}`,
      `g′${degree ? ` at ${PLACES[degree][k]}` : ''}`,
      range,
      value,
      (value) => (rule.values[k] = value),
    );
  });
  const help = html(
    'p',
    { class: 'help', id: 'rule-points-help' },
    'The slope at these points. Drag them in the picture, too.',
  );
  const beta = { min: 0, max: 1, step: 0.05, help: 'Weight of the far end in the β rule.' };
  get('rule-controls').replaceChildren(
    chooser('rule-degree', 'Degree of g′', degrees, degree, setDegree, 'The slope is a polynomial of this degree.'),
    slider('rule-beta', 'β', beta, rule.beta, (value) => (rule.beta = value)),
    html('div', { class: 'thetas' }, ...points, help),
  );
}

function renderRule() {
  const areas = ruleAreas(state.rule);
  const degree = state.rule.values.length - 1;
  get('rule-plots').replaceChildren(...RULES.map((rule) => rulePlot(rule)));
  const rows = RULES.map(({ name, title, exactTo, used }) => {
    const upTo = exactTo(state.rule.beta);
    return [
      title,
      [
        number('td', `rule.${name}`, areas[name]),
        number('td', `rule.${name}.error`, areas[name] - areas.exact),
        html('td', { class: 'word' }, upTo >= degree ? 'exact' : ''),
        html('td', {}, String(upTo)),
        html('td', { class: 'word' }, used),
      ],
    ];
  });
  rows.push([
    'exact area',
    [number('td', 'rule.exact', areas.exact), html('td'), html('td'), html('td'), html('td')],
    'total strong',
  ]);
  const head = ['rule', 'area', 'error', 'here', 'exact up to degree', 'used by'];
  get('rule-table').replaceChildren(table('Areas: f at the far corner less f at the near one', head, rows));
}

const RULE_SIZE = { width: 300, height: 200, left: 30, right: 290, top: 10, bottom: 172 };

/** A place of a rule's picture. */
function placeRule([t, slope]) {
  const { left, right, top, bottom } = RULE_SIZE;
  const [low, high] = RULE_RANGE;
  return [left + (right - left) * t, bottom - ((bottom - top) * (slope - low)) / (high - low)];
}

/** The curve, the area that the rule takes, and the points that can be dragged. */
function rulePlot({ name, title }) {
  const { values, beta } = state.rule;
  const coefficients = polynomialThrough(values);
  const h = (t) => valueOf(coefficients, t);
  const { width, height, left, right, bottom } = RULE_SIZE;
  const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', class: 'draggable', 'data-rule': name });
  svg.setAttribute('aria-label', `${title}: the slope between two corners, and the area that the rule takes`);
  const curve = Array.from({ length: 81 }, (_, k) => [k / 80, h(k / 80)]);
  // Simpson's rule is the area below the parabola through both ends and the middle.
  const parabola = polynomialThrough([h(0), h(0.5), h(1)]);
  const level = (slope) => [0, 1].map((t) => [t, slope]);
  const taken = {
    rectangle: () => level(h(0)),
    trapezoid: () => [
      [0, h(0)],
      [1, h(1)],
    ],
    beta: () => level((1 - beta) * h(0) + beta * h(1)),
    midpoint: () => level(h(0.5)),
    simpson: () => curve.map(([t]) => [t, valueOf(parabola, t)]),
  }[name]();
  const inside = draw('g', { 'clip-path': 'inset(0)' });
  const [, zero] = placeRule([0, 0]);
  inside.append(
    draw('path', { d: `${pathThrough([[0, 0], ...taken, [1, 0]].map(placeRule))}Z`, class: 'taken-area' }),
    draw('line', { x1: left, y1: zero, x2: right, y2: zero, class: 'axis' }),
    draw('path', { d: pathThrough(curve.map(placeRule)), class: 'slope' }),
  );
  svg.append(inside, label('0', [left - 12, zero + 4], { class: 'tick' }));
  svg.append(label(title, [(left + right) / 2, bottom + 22], { class: 'corner-label' }));
  const degree = values.length - 1;
  values.forEach((value, k) => {
    const [cx, cy] = placeRule([degree ? k / degree : 0.5, value]);
    svg.append(draw('circle', { cx, cy, r: 6, class: 'handle' }));
  });
  return svg;
}

/** The point that is dragged, and how the screen lies on the drawing. */
let draggedPoint = null;
function dragRule(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(draggedPoint.screen);
  const { left, right, top, bottom } = RULE_SIZE;
  const [low, high] = RULE_RANGE;
  const degree = state.rule.values.length - 1;
  draggedPoint.k ??= Math.min(degree, Math.max(0, Math.round(((at.x - left) / (right - left)) * degree)));
  const slope = low + ((bottom - at.y) / (bottom - top)) * (high - low);
  const value = Number(Math.min(high, Math.max(low, Math.round(slope * 20) / 20)).toFixed(2));
  state.rule.values[draggedPoint.k] = value;
  const input = get(`rule-point-${draggedPoint.k}`);
  input.value = value;
  get(`${input.id}-value`).textContent = decimals(value, 2);
  input.setAttribute('aria-valuetext', String(value));
  update();
}
