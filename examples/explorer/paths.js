// The panel of paths: bias and standard deviation of an estimator as one of its parameters moves.

const TAUS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3];
const DRAW_COUNTS = [1, 2, 5, 10, 20];
const WEIGHTS = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1];

/**
 * What can be drawn: the parameter that moves and its values, the form, and what the others are if
 * not as in NUMBERS.
 */
const PATHS = {
  'st-tau': { estimator: 'st', moves: 'tau', values: TAUS },
  'stgs-tau': { estimator: 'stgs', moves: 'tau', values: TAUS },
  'gumbel-rao-tau': { estimator: 'gumbel-rao', moves: 'tau', values: TAUS },
  'gumbel-rao-draws': { estimator: 'gumbel-rao', moves: 'draws', values: DRAW_COUNTS, fixed: { tau: 0.5 } },
  'gst-gap': { estimator: 'gst', moves: 'gap', values: [0, 0.5, 1, 1.5, 2, 3, 4] },
  'reinmax-tau': { estimator: 'reinmax', moves: 'tau', values: TAUS },
  'rk2-beta': { estimator: 'reinmax-rk2', moves: 'beta', values: WEIGHTS },
  'rao-tau': { estimator: 'reinmax-rao', moves: 'tau', values: TAUS },
  'cv-eta': { estimator: 'reinmax-cv', form: 3, moves: 'eta', values: [0, 0.25, 0.5, 1, 1.5, 2] },
  'blend-lambda': { estimator: 'reinmax-blend', moves: 'lambda', values: WEIGHTS },
  'mve-order': { estimator: 'mve', moves: 'order', values: [0, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 'inf'] },
  'rebar-eta': { estimator: 'rebar', moves: 'eta', values: [0, 0.25, 0.5, 0.75, 1, 1.25], fixed: { tau: 0.5 } },
  'double-alpha': { estimator: 'double-control-variate', moves: 'alpha', values: [-1.5, -1, -0.75, -0.5, -0.25, 0] },
};

/** Draws given D for one point: fewer than in the clouds, as there are many points. */
const pathSamples = () => Math.round(240 / state.categories);

const pathTitle = ({ estimator, form, moves }) => {
  const { title, forms } = estimators[estimator];
  return `${title}${form ? `, ${forms[form].title}` : ''}, ${PARAMETERS[moves].symbol}`;
};

/** Settings of each point of a path, as `evaluate` takes them. */
function pathSettings(name) {
  const { estimator, form = 0, moves, values, fixed } = PATHS[name];
  return values.map((value) => ({
    categories: state.categories,
    loss: state.loss,
    theta: state.theta.slice(0, state.categories),
    estimator: configuration({ ...NUMBERS, estimator, form, ...fixed, [moves]: value }),
    ...(estimators[estimator].drawn ? { samples: pathSamples() } : {}),
  }));
}

/** Evaluations that are done a few at a time, between frames, so that the page stays responsive. */
const evaluated = new Map();
const waiting = new Map();
let evaluating = false;

/**
 * Norm of the bias, its standard error, and the standard deviation of one draw at these settings,
 * or null if they are not computed yet. `whenDone` is called when they are.
 */
function biasAndSd(settings, whenDone) {
  const key = evaluationKey(settings);
  if (evaluated.has(key)) return evaluated.get(key);
  waiting.set(key, { settings, whenDone });
  if (!evaluating) setTimeout(evaluateSome);
  evaluating = true;
  return null;
}

/** Takes back what a panel has asked for, so that it can ask for something else. */
function forget(panel) {
  for (const [key, { whenDone }] of waiting) if (whenDone === panel) waiting.delete(key);
}

/** Milliseconds of a turn, and of the pause before the next try while a run plays, which has the time. */
const TURN = 8;
const PAUSE = 300;
function evaluateSome() {
  if (state.train.playing) return void setTimeout(evaluateSome, PAUSE);
  const end = performance.now() + TURN;
  const done = new Set();
  while (waiting.size && performance.now() < end) {
    const [[key, { settings, whenDone }]] = waiting;
    waiting.delete(key);
    const { mean, exact, variance, covariance_of_mean } = evaluate(settings);
    const bias = subtract(mean, exact);
    if (evaluated.size > 5000) evaluated.clear();
    const standardError = Math.sqrt(sum(covariance_of_mean.map((row, j) => row[j])));
    evaluated.set(key, { bias: Math.sqrt(dot(bias, bias)), sd: Math.sqrt(variance), standardError });
    done.add(whenDone);
  }
  evaluating = waiting.size > 0;
  if (evaluating) setTimeout(evaluateSome);
  // A panel is drawn when all that it has asked for is there.
  for (const { whenDone } of waiting.values()) done.delete(whenDone);
  done.forEach((show) => show());
}

/** The settings and whatever else `evaluate` depends on. */
const evaluationKey = (settings) => JSON.stringify([settings, settings.loss === 'expression' ? state.expression : '']);

function buildPaths() {
  const boxes = Object.keys(PATHS).map((name) => ({
    id: `path-${name}`,
    text: pathTitle(PATHS[name]),
    checked: state.paths.shown.includes(name),
    change: (input) => {
      const shown = state.paths.shown.filter((other) => other !== name);
      state.paths.shown = input.checked ? Object.keys(PATHS).filter((n) => n === name || shown.includes(n)) : shown;
      renderPaths();
    },
  }));
  const average = {
    values: [1, 4, 16, 64, 256],
    help: 'Draws averaged. On a dotted line the error √(bias² + sd²/n) is the same.',
  };
  get('paths-controls').replaceChildren(
    choices('checkbox', 'Estimators and what moves', boxes),
    slider('paths-average', 'n', average, state.paths.average, (n) => (state.paths.average = n)),
  );
}

function renderPaths() {
  forget(renderPaths);
  const points = Object.fromEntries(
    state.paths.shown.map((name) => [name, pathSettings(name).map((settings) => biasAndSd(settings, renderPaths))]),
  );
  get('paths-chart').replaceChildren(pathsChart(points));
  const ready = Object.values(points).every((of) => of.every(Boolean));
  get('paths').dataset.ready = ready;
  const rows = Object.entries(points).flatMap(([name, of]) =>
    of.flatMap((point, k) => {
      if (!point) return [];
      const { values, moves } = PATHS[name];
      const error = Math.hypot(point.bias, point.sd / Math.sqrt(state.paths.average));
      const cell = (what, x) => number('td', `paths.${name}.${k}.${what}`, x);
      const heading = `${pathTitle(PATHS[name])} = ${infinite(values[k])}`;
      return [
        [heading, [cell('bias', point.bias), cell('sd', point.sd), cell('error', error)], k === 0 ? 'total' : ''],
      ];
    }),
  );
  const head = ['', 'bias', 'sd', `error, n = ${state.paths.average}`];
  get('paths-table').replaceChildren(table('The points', head, rows));
}

const infinite = (value) => (value === 'inf' ? '∞' : String(value).replace('-', '−'));

/**
 * Bias across, standard deviation upwards. Points that lie too far out are left out, so that the
 * others can be told apart.
 */
function pathsChart(points) {
  const all = Object.values(points).flat().filter(Boolean);
  const sorted = (of) => all.map(of).sort((a, b) => a - b);
  const most = (of) => 1.08 * Math.max(1e-3, sorted(of)[Math.floor(0.95 * (all.length - 1))] ?? 1);
  const [right, high] = [most(({ bias }) => bias), most(({ sd }) => sd)];
  const { svg, at, box } = chart({
    width: 640,
    height: 420,
    x: { range: [-0.02 * right, right], ticks: ticksBetween(0, right, 6), name: 'bias' },
    y: { range: [-0.02 * high, high], ticks: ticksBetween(0, high, 6), name: 'standard deviation of one draw' },
    described: 'Bias and standard deviation of the chosen estimators as a parameter moves',
  });
  const { left, top } = box;
  const inside = draw('g', {
    style: `clip-path: inset(${top}px ${640 - box.right}px ${420 - box.bottom}px ${left}px) view-box`,
  });
  svg.append(inside);
  const root = Math.sqrt(state.paths.average);
  const longest = Math.hypot(right, high / root);
  for (const error of ticksBetween(0, longest, 7).slice(1)) {
    const arc = Array.from({ length: 61 }, (_, k) => {
      const angle = ((k / 60) * Math.PI) / 2;
      return at([error * Math.cos(angle), error * root * Math.sin(angle)]);
    });
    inside.append(draw('path', { d: pathThrough(arc), class: 'iso' }));
    // The number stands where the line leaves the picture.
    const [x, y] = error <= right ? [error, 0] : [right, root * Math.sqrt(error ** 2 - right ** 2)];
    if (y > high) continue;
    const [px, py] = at([x, y]);
    inside.append(label(tick(error), [px - 4, py - 5], { class: 'tick', 'text-anchor': 'end' }));
  }
  Object.entries(points).forEach(([name, of], k) => {
    const group = draw('g', { class: `path path-${k % 7}` });
    const places = of.map((point) => point && at([point.bias, point.sd]));
    group.append(draw('path', { d: places.every(Boolean) ? pathThrough(places) : 'M0 0' }));
    places.forEach((place, i) => {
      if (!place) return;
      group.append(draw('circle', { cx: place[0], cy: place[1], r: 3.5 }));
      const end = i === 0 || i === places.length - 1;
      const [x, y] = place;
      if (!end || x > box.right - 2 || y < box.top) return;
      const text = `${PARAMETERS[PATHS[name].moves].symbol} ${infinite(PATHS[name].values[i])}`;
      const flip = x > box.right - 60;
      group.append(label(text, [x + (flip ? -7 : 7), y - 6], { class: 'end', 'text-anchor': flip ? 'end' : 'start' }));
    });
    inside.append(group);
  });
  const legend = Object.keys(points).map((name, k) => {
    const line = draw(
      'svg',
      { viewBox: '0 0 26 14' },
      draw(
        'g',
        { class: `path path-${k % 7}` },
        draw('path', { d: 'M1 7L25 7' }),
        draw('circle', { cx: 13, cy: 7, r: 3.5 }),
      ),
    );
    return html('span', {}, line, pathTitle(PATHS[name]));
  });
  get('paths-legend').replaceChildren(...legend);
  return svg;
}
