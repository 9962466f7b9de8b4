// The figures: where θ is, the cloud of gradient draws, and the error against the number of draws.

/**
 * Corners of the simplex of three categories, for a triangle with a circumscribed circle of radius
 * 1, y upwards.
 */
const CORNERS = [210, 330, 90].map((degrees) => [
  Math.cos((degrees * Math.PI) / 180),
  Math.sin((degrees * Math.PI) / 180),
]);

/** How gradients of C numbers become points of the plane, and in which words. */
function projection(categories, axes) {
  if (categories === 3) {
    // Orthonormal rows: lengths in the plane Σ = 0 are kept, and the triangle's corners point along
    // its θ.
    const rows = [0, 1].map((axis) => CORNERS.map((corner) => Math.sqrt(2 / 3) * corner[axis]));
    return { rows, words: 'the plane in which the three numbers sum to 0, seen straight on' };
  }
  if (categories === 2) return { rows: [oneHot(1, 2), [0, 0]], words: `∂/∂${theta_(1)} alone` };
  const [i, j] = axes;
  const rows = [oneHot(i, categories), oneHot(j, categories)];
  return { rows, words: `two of the ${categories} coordinates, ∂/∂${theta_(i)} across and ∂/∂${theta_(j)} upwards` };
}

const project = ({ rows }, x) => rows.map((row) => dot(row, x));
const projectCovariance = ({ rows }, m) => rows.map((a) => rows.map((b) => sum(a.map((a, i) => a * dot(m[i], b)))));

/**
 * The points of a cloud: `dots` of one draw each, as often as D has it, or, if D is all that is
 * random, discs of its size.
 */
function cloudPoints(result, drawn) {
  const dots = [];
  result.estimates.forEach((draws, hot) => {
    const count = drawn ? Math.min(draws.length, Math.round(300 * result.pi[hot])) : draws.length;
    for (const { weight, estimate } of draws.slice(0, count).filter(({ weight }) => weight > 0)) {
      dots.push({
        hot,
        estimate,
        probability: drawn ? 1 / 300 : result.pi[hot] * weight,
        radius: drawn ? 1.7 : Math.max(2, 15 * Math.sqrt(result.pi[hot] * weight)),
      });
    }
  });
  return dots;
}

/** The distance from 0 that a plot must show: the gradient, the ellipse, and nearly all draws. */
function extent(results, view) {
  const length = (x) => Math.hypot(...x);
  const reach = ({ result, dots }) => {
    const far = dots.map((dot) => length(project(view, dot.estimate))).sort((a, b) => a - b);
    const sd = ellipseOf(projectCovariance(view, result.covariance)).major;
    const mean = length(project(view, result.mean));
    return Math.max(length(project(view, result.exact)), mean + sd, far[Math.floor(0.94 * (far.length - 1))]);
  };
  return 1.12 * Math.max(1e-9, ...results.map(reach));
}

/** The probability of a draw outside the frame. */
const outsideShare = (dots, view, reach) =>
  sum(
    dots
      .filter(({ estimate }) => project(view, estimate).some((x) => Math.abs(x) > reach))
      .map(({ probability }) => probability),
  );

const SIZE = 360;

/**
 * The cloud of one estimator. `reach` is the distance from 0 to the frame; `targets` are points,
 * one for each D, that get a ring.
 */
function cloudPlot({ result, dots, drawn }, { categories, view, reach, average, axes, targets = [] }) {
  if (categories === 2) return stripPlot({ result, dots, drawn }, { reach, average, targets });
  const [centre, unit] = [SIZE / 2, (SIZE / 2 - 20) / reach];
  const at = (x) => place(project(view, x));
  const place = ([x, y]) => [centre + unit * x, centre - unit * y];
  const svg = draw('svg', { viewBox: `0 0 ${SIZE} ${SIZE}`, role: 'img' });
  svg.append(categories === 3 ? polarGrid(place, reach, unit) : cartesianGrid(place, reach, axes));
  const inside = draw('g', { 'clip-path': 'inset(0)' });
  svg.append(inside);

  const covariance = projectCovariance(view, result.covariance);
  const mean = at(result.mean);
  for (const { estimate, radius } of dots) {
    const [cx, cy] = at(estimate);
    inside.append(draw('circle', { cx, cy, r: radius, class: drawn ? 'dot' : 'disc' }));
  }
  for (const target of targets) {
    const [cx, cy] = at(target);
    inside.append(draw('circle', { cx, cy, r: 9, class: 'target' }));
  }
  const ellipse = ellipseOf(covariance);
  for (const n of average > 1 ? [1, average] : [1]) {
    const [rx, ry] = [ellipse.major, ellipse.minor].map((r) => Math.max((unit * r) / Math.sqrt(n), 0.75));
    const turn = `rotate(${-ellipse.angle} ${mean[0]} ${mean[1]})`;
    const shape = draw('ellipse', { cx: mean[0], cy: mean[1], rx, ry, transform: turn });
    shape.setAttribute('class', n === 1 ? 'ellipse' : 'ellipse average');
    inside.append(shape);
  }
  const tip = at(result.exact);
  inside.append(diamond(mean, 6, { class: 'mean' }));
  inside.append(draw('line', { x1: tip[0], y1: tip[1], x2: mean[0], y2: mean[1], class: 'bias' }));
  inside.append(arrow(place([0, 0]), tip, { class: 'exact' }));
  if (result.estimates[0].filter(({ weight }) => weight > 0).length === 1 || drawn)
    inside.append(...givenLabels(result, at, mean));
  return svg;
}

/**
 * The number of each D beside its mean, away from the cloud's; none where it would lie on another.
 */
function givenLabels(result, at, mean) {
  const placed = [];
  const order = result.pi.map((_, hot) => hot).sort((a, b) => result.pi[b] - result.pi[a]);
  return order.flatMap((hot) => {
    const [x, y] = at(result.given[hot]);
    const [dx, dy] = [x - mean[0], y - mean[1]];
    const length = Math.hypot(dx, dy) || 1;
    const away = 9 + 15 * Math.sqrt(result.pi[hot]);
    const [tx, ty] = [x + (away * dx) / length, y + (away * dy) / length];
    if (length < 4 || placed.some(([px, py]) => Math.hypot(px - tx, py - ty) < 15)) return [];
    placed.push([tx, ty]);
    return [
      draw('circle', { cx: x, cy: y, r: 2.5, class: 'given' }),
      label(String(hot + 1), [tx, ty + 4], { class: 'given-label' }),
    ];
  });
}

/** Rings at round distances from 0, and the three directions in which one logit grows. */
function polarGrid(place, reach, unit) {
  const grid = draw('g', { class: 'grid' });
  const step = roundStep(reach / 1.8);
  const [cx, cy] = place([0, 0]);
  CORNERS.forEach(([x, y], j) => {
    const [x2, y2] = place([0.93 * reach * x, 0.93 * reach * y]);
    grid.append(draw('line', { x1: cx, y1: cy, x2, y2 }));
    grid.append(label(theta_(j), place([1.02 * reach * x, 1.02 * reach * y - 4 / unit])));
  });
  for (let r = step; r < 1.02 * reach; r += step) {
    grid.append(
      draw('circle', { cx, cy, r: unit * r }),
      label(tick(r), [cx + unit * r - 4, cy - 4], { class: 'tick', 'text-anchor': 'end' }),
    );
  }
  return grid;
}

/** Lines at round numbers of both chosen coordinates. */
function cartesianGrid(place, reach, axes) {
  const grid = draw('g', { class: 'grid' });
  const step = roundStep(reach / 1.4);
  const [[left, top], [right, bottom]] = [place([-reach, reach]), place([reach, -reach])];
  for (let k = -Math.floor(reach / step); k * step <= reach; k++) {
    const [x, y] = place([k * step, k * step]);
    const kind = k === 0 ? 'zero' : '';
    grid.append(draw('line', { x1: x, y1: top, x2: x, y2: bottom, class: kind }));
    grid.append(draw('line', { x1: left, y1: y, x2: right, y2: y, class: kind }));
    if (k === 0) continue;
    grid.append(label(tick(k * step), [x, bottom + 13], { class: 'tick' }));
    grid.append(label(tick(k * step), [left + 2, y - 4], { class: 'tick', 'text-anchor': 'start' }));
  }
  const [x0, y0] = place([0, 0]);
  grid.append(label(`∂/∂${theta_(axes[0])} →`, [right, y0 - 6], { 'text-anchor': 'end' }));
  grid.append(label(`↑ ∂/∂${theta_(axes[1])}`, [x0 + 6, top + 8], { 'text-anchor': 'start' }));
  return grid;
}

/**
 * Two categories: one number. A lane for each D, below them the mean with its standard deviation.
 */
function stripPlot({ result, dots, drawn }, { reach, average, targets }) {
  const [height, lanes, base] = [236, [46, 104], 156];
  const at = (x) => SIZE / 2 + ((SIZE / 2 - 20) / reach) * x;
  const svg = draw('svg', { viewBox: `0 0 ${SIZE} ${height}`, role: 'img' });
  const grid = draw('g', { class: 'grid' });
  const step = roundStep(reach / 1.8);
  for (let k = -Math.floor(reach / step); k * step <= reach; k++) {
    const x = at(k * step);
    grid.append(draw('line', { x1: x, y1: 16, x2: x, y2: 196, class: k === 0 ? 'zero' : '' }));
    grid.append(label(tick(k * step), [x, 211], { class: 'tick' }));
  }
  grid.append(label(`∂/∂${theta_(1)} →`, [SIZE - 4, 230], { 'text-anchor': 'end' }));
  lanes.forEach((y, hot) => grid.append(label(`D = ${hot + 1}`, [4, y - 17], { 'text-anchor': 'start' })));
  svg.append(grid);

  const inside = draw('g', { 'clip-path': 'inset(0)' });
  svg.append(inside);
  dots.forEach(({ hot, estimate, radius }, i) => {
    const jitter = drawn ? 11 * (((i * 0.618034) % 1) * 2 - 1) : 0;
    inside.append(
      draw('circle', { cx: at(estimate[1]), cy: lanes[hot] + jitter, r: radius, class: drawn ? 'dot' : 'disc' }),
    );
  });
  targets.forEach((target, hot) => {
    inside.append(draw('circle', { cx: at(target[1]), cy: lanes[hot], r: 14, class: 'target' }));
  });
  const [mean, exact, sd] = [result.mean[1], result.exact[1], Math.sqrt(result.covariance[1][1])];
  for (const n of average > 1 ? [1, average] : [1]) {
    const width = at(sd / Math.sqrt(n)) - at(0);
    const attributes = { x: at(mean) - width, y: base - 11, width: Math.max(2 * width, 1), height: 22, rx: 11 };
    inside.append(draw('rect', { ...attributes, class: n === 1 ? 'ellipse' : 'ellipse average' }));
  }
  inside.append(draw('line', { x1: at(exact), y1: base + 24, x2: at(mean), y2: base, class: 'bias' }));
  inside.append(arrow([at(0), base + 24], [at(exact), base + 24], { class: 'exact' }));
  inside.append(diamond([at(mean), base], 6, { class: 'mean' }));
  return svg;
}

/**
 * Where θ is: π on the simplex of two or three categories, as bars for more. `f` is shown at the
 * corners.
 */
function simplexPlot(pi, values) {
  if (pi.length === 3) return trianglePlot(pi, values);
  return pi.length === 2 ? segmentPlot(pi, values) : piBars(pi);
}

const TRIANGLE = { centre: [150, 158], radius: 122 };

function trianglePlot(pi, values) {
  const place = ([x, y]) => [TRIANGLE.centre[0] + TRIANGLE.radius * x, TRIANGLE.centre[1] - TRIANGLE.radius * y];
  const corners = CORNERS.map(place);
  const svg = draw('svg', { viewBox: '0 0 300 262', role: 'img', class: 'draggable' });
  svg.append(draw('path', { d: `M${corners.map((corner) => corner.join(' ')).join('L')}Z`, class: 'simplex' }));
  const [x, y] = [0, 1].map((axis) =>
    dot(
      pi,
      corners.map((corner) => corner[axis]),
    ),
  );
  corners.forEach(([cx, cy]) => svg.append(draw('line', { x1: x, y1: y, x2: cx, y2: cy, class: 'to-corner' })));
  corners.forEach(([cx, cy], j) => {
    svg.append(draw('circle', { cx, cy, r: 4, class: 'corner' }));
    svg.append(
      label(`${j + 1}: f = ${decimals(values[j], 2)}`, [cx, cy + (j === 2 ? -11 : 21)], { class: 'corner-label' }),
    );
  });
  svg.append(draw('circle', { cx: x, cy: y, r: 8, class: 'pi' }), label('π', [x, y - 13], { class: 'pi-label' }));
  return svg;
}

function segmentPlot(pi, values) {
  const at = (p) => 40 + 220 * p;
  const svg = draw('svg', { viewBox: '0 0 300 96', role: 'img', class: 'draggable' });
  svg.append(draw('line', { x1: at(0), y1: 52, x2: at(1), y2: 52, class: 'simplex' }));
  [0, 1].forEach((j) => {
    svg.append(draw('circle', { cx: at(j), cy: 52, r: 4, class: 'corner' }));
    svg.append(label(`${j + 1}: f = ${decimals(values[j], 2)}`, [at(j), 80], { class: 'corner-label' }));
  });
  svg.append(
    draw('circle', { cx: at(pi[1]), cy: 52, r: 8, class: 'pi' }),
    label('π', [at(pi[1]), 36], { class: 'pi-label' }),
  );
  return svg;
}

function piBars(pi) {
  const svg = draw('svg', { viewBox: '0 0 300 170', role: 'img' });
  const top = Math.max(...pi);
  pi.forEach((p, j) => {
    const height = (110 * p) / top;
    const x = 12 + (276 / pi.length) * (j + 0.5);
    svg.append(draw('rect', { x: x - 12, y: 140 - height, width: 24, height, class: 'pi-bar' }));
    svg.append(
      label(decimals(p, 2), [x, 132 - height], { class: 'tick' }),
      label(String(j + 1), [x, 158], { class: 'corner-label' }),
    );
  });
  return svg;
}

/** π at a place of the simplex plot, in its own coordinates: what dragging sets. */
function piAt(categories, [x, y]) {
  if (categories === 2) return [1 - (x - 40) / 220, (x - 40) / 220];
  const at = [(x - TRIANGLE.centre[0]) / TRIANGLE.radius, (TRIANGLE.centre[1] - y) / TRIANGLE.radius];
  return CORNERS.map((corner) => 1 / 3 + (2 / 3) * dot(corner, at));
}

/**
 * The slope ⟨g(x), I_to − I_from⟩ of the loss on the line x from one category to another, and what
 * is taken for the area below it: the rectangle of the slope at the sample, the trapezoid of those
 * at both ends.
 */
function wayOf(loss, g, values, [from, to]) {
  const slope = (t) => {
    const x = values.map((_, j) => (j === from ? 1 - t : j === to ? t : 0));
    const g = loss.gradient(x);
    return g[to] - g[from];
  };
  const ends = [from, to].map((hot) => g[hot][to] - g[hot][from]);
  const curve = Array.from({ length: 61 }, (_, k) => [k / 60, slope(k / 60)]);
  return { curve, ends, exact: values[to] - values[from], rectangle: ends[0], trapezoid: (ends[0] + ends[1]) / 2 };
}

function wayPlot({ curve, ends }, [from, to]) {
  const [left, right, top, bottom] = [44, 410, 12, 122];
  const slopes = curve.map(([, slope]) => slope).concat(0);
  const [low, high] = [Math.min(...slopes), Math.max(...slopes)];
  const span = Math.max(high - low, 1e-9);
  const at = ([t, slope]) => [left + (right - left) * t, bottom - ((bottom - top) * (slope - low)) / span];
  const path = (points) =>
    `M${points
      .map((point) =>
        at(point)
          .map((x) => x.toFixed(2))
          .join(' '),
      )
      .join('L')}`;
  const svg = draw('svg', { viewBox: '0 0 430 150', role: 'img' });
  svg.append(draw('path', { d: `${path([[0, 0], ...curve, [1, 0]])}Z`, class: 'area' }));
  svg.append(
    draw('path', {
      d: `${path([
        [0, 0],
        [0, ends[0]],
        [1, ends[0]],
        [1, 0],
      ])}Z`,
      class: 'rectangle',
    }),
  );
  svg.append(
    draw('path', {
      d: path([
        [0, ends[0]],
        [1, ends[1]],
      ]),
      class: 'trapezoid',
    }),
  );
  svg.append(draw('path', { d: path(curve), class: 'slope' }));
  const [, zero] = at([0, 0]);
  svg.append(draw('line', { x1: left, y1: zero, x2: right, y2: zero, class: 'axis' }));
  ends.forEach((slope, t) => {
    const [cx, cy] = at([t, slope]);
    svg.append(draw('circle', { cx, cy, r: 4, class: 'slope-end' }));
    svg.append(label(`category ${[from, to][t] + 1}`, [cx, 144], { 'text-anchor': ['start', 'end'][t] }));
  });
  svg.append(label('0', [left - 8, zero + 4], { 'text-anchor': 'end', class: 'tick' }));
  if (Math.abs(at([0, ends[0]])[1] - zero) > 12) {
    svg.append(
      label(decimals(ends[0], 1), [left - 8, at([0, ends[0]])[1] + 4], { 'text-anchor': 'end', class: 'tick' }),
    );
  }
  return svg;
}

/** Error bias² + variance/N of both estimators against N, both axes logarithmic. */
function errorChart(sides, average) {
  const [left, right, top, bottom] = [52, 470, 14, 214];
  const errors = (side) => [1, 1000].map((n) => side.bias + side.variance / n);
  const all = sides.flatMap(errors).filter((error) => error > 1e-9);
  const high = Math.ceil(Math.log10(Math.max(...all, 1e-6)) * 2 + 0.1) / 2;
  const low = Math.max(Math.floor(Math.log10(Math.min(...all, 1)) * 2) / 2, high - 6);
  const at = (n) => left + ((right - left) * Math.log10(n)) / 3;
  const y = (error) => bottom - ((bottom - top) * (Math.log10(Math.max(error, 10 ** low)) - low)) / (high - low);
  const svg = draw('svg', { viewBox: '0 0 500 262', role: 'img' });
  const grid = draw('g', { class: 'grid' });
  for (const n of [1, 10, 100, 1000]) {
    grid.append(
      draw('line', { x1: at(n), y1: top, x2: at(n), y2: bottom }),
      label(String(n), [at(n), bottom + 17], { class: 'tick' }),
    );
  }
  for (let power = Math.ceil(low); power <= high; power++) {
    const text = draw('text', { x: left - 7, y: y(10 ** power) + 4, 'text-anchor': 'end', class: 'tick' }, '10');
    text.append(draw('tspan', { dy: -4, 'font-size': '0.8em' }, tick(power)));
    grid.append(draw('line', { x1: left, y1: y(10 ** power), x2: right, y2: y(10 ** power) }), text);
  }
  grid.append(label('draws averaged, N', [(left + right) / 2, bottom + 40]));
  grid.append(draw('line', { x1: at(average), y1: top, x2: at(average), y2: bottom, class: 'now' }));
  svg.append(grid);
  const ends = sides.map(({ bias, variance }) => y(bias + variance / 1000));
  const apart = Math.max(0, 15 - Math.abs(ends[0] - ends[1])) / 2; // so that the names do not lie on each other
  sides.forEach(({ name, bias, variance }, k) => {
    const group = draw('g', { class: `line side-${name}` });
    const points = Array.from({ length: 61 }, (_, i) => 10 ** (i / 20));
    const path = points.map((n) => `${at(n).toFixed(2)} ${y(bias + variance / n).toFixed(2)}`).join('L');
    if (bias > 10 ** low) group.append(draw('line', { x1: left, y1: y(bias), x2: right, y2: y(bias), class: 'floor' }));
    group.append(draw('path', { d: `M${path}` }));
    group.append(draw('circle', { cx: at(average), cy: y(bias + variance / average), r: 4.5 }));
    const above = ends[k] < ends[1 - k] || (k === 0 && ends[0] === ends[1]);
    group.append(label(name, [right + 14, ends[k] + 4 + (above ? -apart : apart)], { class: 'name' }));
    svg.append(group);
  });
  return svg;
}
