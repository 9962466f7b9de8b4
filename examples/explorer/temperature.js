// The panel of the temperature: the cloud of Gumbel-Rao runs into the points of ReinMax as τ goes
// to 0.

const LOW_TAUS = [1, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.02, 0.01];
const COLD_DRAWS = 100;
const coldSamples = () => Math.round(180 / state.categories);

/** Settings of Gumbel-Rao at this τ, or of ReinMax at τ = 1 if it is null. */
const coldSettings = (tau) => ({
  categories: state.categories,
  loss: state.loss,
  theta: state.theta.slice(0, state.categories),
  estimator: tau === null ? { reinmax: { tau: 1 } } : { 'gumbel-rao': { tau, draws: COLD_DRAWS } },
  ...(tau === null ? {} : { samples: coldSamples() }),
});

const coldResults = new Map();
function coldResult(tau) {
  const key = evaluationKey(coldSettings(tau));
  if (coldResults.size > 200) coldResults.clear();
  if (!coldResults.has(key)) coldResults.set(key, evaluate(coldSettings(tau)));
  return coldResults.get(key);
}

function buildTemperature() {
  const help = 'Temperature of Gumbel-Rao. The factor 1/τ does not make it scatter, as it averages K draws given D.';
  get('temperature-controls').replaceChildren(
    slider('cold-tau', 'τ', { values: LOW_TAUS, help }, state.coldTau, (tau) => (state.coldTau = tau)),
  );
}

function renderTemperature() {
  forget(renderTemperature);
  const [rao, reinmax] = [coldResult(state.coldTau), coldResult(null)];
  const sides = [
    {
      name: 'A',
      title: `Gumbel-Rao, τ = ${state.coldTau}, K = ${COLD_DRAWS}; the rings are the points of ReinMax`,
      result: rao,
      drawn: true,
    },
    { name: 'B', title: 'ReinMax, τ = 1', result: reinmax, drawn: false },
  ].map((side) => ({ ...side, dots: cloudPoints(side.result, side.drawn) }));
  const view = projection(state.categories, state.axes);
  // The frame also shows the points of all D.
  const far = reinmax.given.map((given) => Math.hypot(...project(view, given)));
  const reach = Math.max(extent(sides, view), 1.12 * Math.max(...far));
  const figures = sides.map(({ name, title, result, drawn, dots }) => {
    const { categories, axes } = state;
    const targets = drawn ? reinmax.given : [];
    const svg = cloudPlot({ result, dots, drawn }, { categories, view, reach, average: 1, axes, targets });
    svg.setAttribute('aria-label', `Cloud of ${title}`);
    return html('figure', { class: `side-${name} cloud` }, svg, html('figcaption', {}, title));
  });
  get('temperature-clouds').replaceChildren(...figures);
  get('temperature-chart').replaceChildren(biasChart(reinmax));
  const biasOf = ({ mean, exact }) => Math.sqrt(sum(subtract(mean, exact).map((x) => x * x)));
  const row = (heading, name, result, side) => [
    heading,
    [
      number('td', `cold.${name}.bias`, biasOf(result)),
      number('td', `cold.${name}.sd`, Math.sqrt(result.variance)),
      ...result.given
        .flatMap((given, hot) => given.map((x, j) => number('td', `cold.${name}.given.${hot}.${j}`, x)))
        .slice(0, state.categories <= 3 ? undefined : 0),
    ],
    `side-${side}`,
  ];
  const heads =
    state.categories <= 3 ? rao.pi.flatMap((_, hot) => rao.pi.map((_, j) => `D = ${hot + 1}, ∂/∂${theta_(j)}`)) : [];
  get('temperature-table').replaceChildren(
    table(
      'Bias, standard deviation and the mean given each D',
      ['', 'bias', 'sd', ...heads],
      [row('Gumbel-Rao', 'rao', rao, 'A'), row('ReinMax', 'reinmax', reinmax, 'B')],
    ),
  );
}

/** Milliseconds for which each τ is shown. */
const COLD_PAUSE = 700;
let coldTimer = null;

/** Lowers τ step by step from 1, or stops. */
function playCold(playing) {
  clearInterval(coldTimer);
  coldTimer = null;
  get('cold-play').textContent = playing ? 'Stop' : 'Lower τ step by step';
  if (!playing) return;
  const show = (k) => {
    const input = get('cold-tau');
    input.value = k;
    input.dispatchEvent(new Event('input'));
  };
  let k = 0;
  show(k);
  coldTimer = setInterval(() => {
    k += 1;
    show(k);
    if (k === LOW_TAUS.length - 1) playCold(false);
  }, COLD_PAUSE);
}

/** Bias of Gumbel-Rao against τ with its standard error, and the line of ReinMax's. */
function biasChart(reinmax) {
  const norm = ({ mean, exact }) => Math.sqrt(sum(subtract(mean, exact).map((x) => x * x)));
  const points = LOW_TAUS.map((tau) => ({ tau, ...biasAndSd(coldSettings(tau), renderTemperature) }));
  const known = points.filter(({ bias }) => bias !== undefined);
  get('temperature').dataset.ready = known.length === points.length;
  const limit = norm(reinmax);
  const high = 1.1 * Math.max(1e-3, limit, ...known.map(({ bias, standardError }) => bias + standardError));
  const log = (tau) => -Math.log10(tau);
  const { svg, at, box } = chart({
    x: {
      range: [0, 2],
      ticks: [0, 0.301, 1, 1.301, 2],
      text: (x) => String(Number((10 ** -x).toFixed(2))),
      name: 'τ, smaller to the right',
    },
    y: { range: [0, high], name: 'bias' },
    described: 'Bias of Gumbel-Rao against its temperature, and that of ReinMax',
  });
  const [, y] = at([0, limit]);
  svg.append(
    draw('g', { class: 'line side-B' }, draw('line', { x1: box.left, y1: y, x2: box.right, y2: y, class: 'floor' })),
  );
  const places = known.map(({ tau, bias }) => at([log(tau), bias]));
  const group = draw('g', { class: 'way side-A' });
  if (places.length) group.append(draw('path', { d: pathThrough(places) }));
  known.forEach(({ tau, bias, standardError }, k) => {
    const [cx, cy] = places[k];
    const [y1, y2] = [bias + standardError, Math.max(0, bias - standardError)].map((bias) => at([log(tau), bias])[1]);
    group.append(draw('line', { x1: cx, x2: cx, y1, y2, class: 'error-bar' }));
    group.append(draw('circle', { cx, cy, r: tau === state.coldTau ? 6 : 3.5 }));
  });
  svg.append(group);
  svg.append(label('ReinMax', [box.right - 6, y - 6], { 'text-anchor': 'end', class: 'tick' }));
  return svg;
}
