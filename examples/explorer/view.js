// What shows the state: plots, sentences, bars and tables.

let scheduled = false;
/** Shows the state at the next frame, once however many events come before it. */
function update() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(render);
}

/**
 * Starts or pauses a panel that plays: `frame` runs in every frame while it does. The button shows
 * which, and so does `playing` of the panel's part of the state.
 */
function player(button, part, frame) {
  let request = 0;
  const next = () => {
    frame();
    request = requestAnimationFrame(next);
  };
  return (playing) => {
    part().playing = playing;
    get(button).textContent = playing ? 'Pause' : 'Play';
    cancelAnimationFrame(request);
    if (playing) request = requestAnimationFrame(next);
  };
}

/** A number as text, with all its digits in `data-value` and its name in `data-shown`. */
function number(tag, name, value, attributes = {}) {
  return html(tag, { 'data-shown': name, 'data-value': value, ...attributes }, decimals(value));
}

function render() {
  scheduled = false;
  renderAdvisor(); // first, as it compiles the loss that the others may use
  const sides = NAMES.map((name) => {
    const result = resultOf(name);
    const { drawn } = estimators[state[name].estimator];
    return {
      name,
      result,
      drawn,
      dots: cloudPoints(result, drawn),
      bias: result.biasSquared,
      biasError: result.biasError,
      variance: result.variance,
    };
  });
  renderChoice(sides[0].result);
  renderWay(sides[0].result);
  renderClouds(sides);
  renderBars(sides);
  get('error-chart').replaceChildren(errorChart(sides, state.average));
  get('error-chart').firstChild.setAttribute('aria-label', 'Error of the average of N draws against N, for A and B');
  get('verdict').textContent = verdict(sides);
  get('tables').replaceChildren(problemTable(sides[0].result), ...sides.map(estimatorTable));
  renderTraining();
  renderGumbel();
  renderRule();
  renderPaths();
  renderTemperature();
  get('draws-given').textContent = String(constants.draws_given[state.categories]);
}

function renderChoice({ pi, values }) {
  const svg = simplexPlot(pi, values);
  const text = pi.map((p, j) => `${j + 1}: ${decimals(p, 2)}`).join(', ');
  svg.setAttribute('aria-label', `π, the probabilities of the categories: ${text}`);
  get('simplex').replaceChildren(svg);
  get('simplex-caption').textContent = {
    2: 'Two categories: π is a point between the two corners. Drag it, or use the sliders.',
    3: 'Three categories: π is a point of the triangle, near the corners that are likely. Drag it, or use the sliders.',
    8: 'Eight categories: the simplex has seven dimensions, so here are the probabilities π themselves.',
  }[state.categories];
}

/**
 * The slope of the loss between the two likeliest categories: where the bias of one-sided slopes
 * comes from.
 */
function renderWay({ pi, g, values }) {
  const way = pi
    .map((_, j) => j)
    .sort((a, b) => pi[b] - pi[a])
    .slice(0, 2);
  const areas = wayOf(losses[state.loss], g, values, way);
  const svg = wayPlot(areas, way);
  svg.setAttribute('aria-label', `Slope of the loss from category ${way[0] + 1} to category ${way[1] + 1}`);
  const [from, to] = way.map((j) => j + 1);
  const value = (name) => number('b', `way.${name}`, areas[name]);
  get('way').replaceChildren(
    svg,
    html(
      'figcaption',
      {},
      `The slope of f on the line between the two likeliest categories. Its signed area is f(${to}) − f(${from}) = `,
      value('exact'),
      `, the true change of the loss. When D\u00a0=\u00a0${from} is drawn, only the slope at that end is known. Straight-Through takes the dashed rectangle, `,
      value('rectangle'),
      ', for the area; ReinMax, on average, the dotted trapezoid of both ends, ',
      value('trapezoid'),
      '. The difference is bias.',
    ),
  );
}

function renderClouds(sides) {
  const { categories, axes, average } = state;
  const view = projection(categories, axes);
  const reach = extent(sides, view);
  for (const side of sides) {
    const { name, result } = side;
    const svg = cloudPlot(side, { categories, view, reach, average, axes });
    svg.setAttribute('aria-label', `Cloud of gradient draws of ${estimators[state[name].estimator].title}`);
    get(`cloud-${name}`).replaceChildren(svg);
    get(`reading-${name}`).textContent = reading(side);
    renderCommand(get(`command-${name}`), command(state[name]));
  }
  const lost = sides
    .filter(({ result }) => categories === 3 && Math.abs(sum(result.mean)) > 1e-9)
    .map(({ name }) => name);
  const hidden = lost.length
    ? ` The numbers of ${lost.join(' and ')} do not sum to 0; the part along (1, 1, 1) is not drawn, but counted.`
    : '';
  const outside = sides.map(({ name, dots }) => `${name} ${percent(outsideShare(dots, view, reach))}`);
  const cut = outside.every((text) => text.endsWith(' 0 %'))
    ? 'All draws lie inside.'
    : `Draws outside the frame: ${outside.join(', ')}.`;
  get('projection').textContent = `Shown: ${view.words}. Both plots have one scale. ${cut}${hidden}`;
}

function renderCommand(element, options) {
  const known = ['To train with it: train_vae ', html('code', {}, options ?? '')];
  element.replaceChildren(...(options ? known : ['For a single choice: the VAE of train_vae has several variables.']));
}

const percent = (x) => (x < 0.0005 ? '0 %' : `${Number((100 * x).toPrecision(2))} %`);

/** What the plot says, in words. */
function reading({ result }) {
  const size = Math.sqrt(dot(result.exact, result.exact));
  const off = Math.sqrt(result.biasSquared);
  const scatter = Math.sqrt(result.variance);
  const share = (x) => percent(x / size);
  // A bias within the sampling error of the mean may be none.
  const exactly = off < 1e-9 * Math.max(size, 1);
  const within = result.biasSquared < 3 * result.biasError;
  const bias = exactly
    ? 'On average exactly right: no bias.'
    : within
      ? 'On average right, as far as these draws can tell.'
      : `On average off by ${decimals(off, 3)}, ${share(off)} of the exact gradient’s length.`;
  const spread =
    scatter < 1e-9
      ? 'Every draw gives the same gradient.'
      : `One draw scatters by ${decimals(scatter, 3)} around the mean, ${share(scatter)} of that length.`;
  return `${bias} ${spread}`;
}

function renderBars(sides) {
  const n = state.average;
  const of = ({ bias, variance }) => ({ bias, variance: variance / n, error: bias + variance / n });
  const longest = Math.max(1e-12, ...sides.map((side) => of(side).error));
  const fill = (value, kind = '') =>
    html('div', { class: `fill ${kind}`, style: `width: ${(100 * value) / longest}%` });
  const uncertainty = (key, { name, biasError }) =>
    key === 'bias'
      ? html(
          'span',
          { class: 'plus-minus', id: `uncertainty-${name}` },
          biasError > 0 ? `± ${tick(Number(biasError.toPrecision(1)))}` : '',
        )
      : '';
  const group = (key, title) => {
    const bars = sides.map((side) => {
      const { bias, variance, error } = of(side);
      const parts = {
        bias: [fill(bias)],
        variance: [fill(variance, 'lighter')],
        error: [fill(bias), fill(variance, 'lighter')],
      }[key];
      const value = { bias, variance, error }[key];
      return html(
        'div',
        { class: `bar side-${side.name}` },
        html('span', { class: 'name' }, side.name),
        html('div', { class: 'track' }, ...parts),
        number('span', `${side.name}.${key}`, value, { class: 'number' }),
        uncertainty(key, side),
      );
    });
    return html('div', { class: 'bar-group' }, html('div', {}, title), ...bars);
  };
  const per = n === 1 ? 'Variance' : `Variance / ${n}`;
  get('bars').replaceChildren(
    group('bias', 'Bias²'),
    group('variance', per),
    group('error', `Error = bias² + ${per.toLowerCase()}`),
  );
}

/** Which is better at this N, and from which N on the other is. */
function verdict(sides) {
  const n = state.average;
  const [a, b] = sides;
  const error = (side) => side.bias + side.variance / n;
  if (Math.abs(error(a) - error(b)) <= 1e-9 * (error(a) + error(b))) return 'Both have the same error.';
  const [better, worse] = error(a) < error(b) ? [a, b] : [b, a];
  const alike = Math.abs(a.bias - b.bias) < 3 * Math.hypot(a.biasError, b.biasError);
  const draws = n === 1 ? 'With a single draw' : `With ${n} draws averaged`;
  const text = `${draws}, ${better.name} is nearer to the exact gradient in mean square: ${decimals(error(better))} against ${decimals(error(worse))}.`;
  if (alike)
    return `${text} Their biases are the same, as far as these draws can tell, so the variance decides at every N.`;
  // bias² + variance/N is the same for both at this N, if at any.
  const crossing = (worse.variance - better.variance) / (better.bias - worse.bias);
  if (better.bias > worse.bias && crossing > n) {
    return `${text} From about ${Math.ceil(crossing)} draws on it is ${worse.name}: it has more variance, which averaging reduces, and less bias, which stays.`;
  }
  if (better.bias < worse.bias && crossing >= 1)
    return `${text} With fewer than about ${Math.ceil(crossing)} it would be ${worse.name}.`;
  return `${text} No number of draws changes that.`;
}

/** A table whose rows are [heading, cells, class]. */
function table(caption, head, rows, kind = '') {
  const headings = html('tr', {}, ...head.map((text) => html('th', { scope: 'col' }, text)));
  const lines = rows.map(([heading, cells, line = '']) =>
    html('tr', { class: line }, html('th', { scope: 'row' }, heading), ...cells),
  );
  const content = html(
    'table',
    {},
    html('caption', {}, caption),
    html('thead', {}, headings),
    html('tbody', {}, ...lines),
  );
  return html('div', { class: `table ${kind}`, tabindex: 0, role: 'region', 'aria-label': caption }, content);
}

const cells = (name, vector) => vector.map((x, j) => number('td', `${name}.${j}`, x));

function problemTable({ pi, values, g }) {
  const head = ['D', 'π(D)', 'f(D)', ...pi.map((_, j) => `g${subscript(j + 1)}`)];
  const rows = pi.map((p, hot) => [
    String(hot + 1),
    [number('td', `pi.${hot}`, p), number('td', `values.${hot}`, values[hot]), ...cells(`g.${hot}`, g[hot])],
  ]);
  return table('The loss f and its slope g at each D', head, rows);
}

function estimatorTable({ name, result, drawn }) {
  const { given, mean, exact, bias, covariance, pi } = result;
  const head = ['', ...pi.map((_, j) => `∂/∂${theta_(j)}`)];
  const rows = given.map((given, hot) => [
    `D = ${hot + 1}${drawn ? ', mean' : ''}`,
    cells(`${name}.given.${hot}`, given),
  ]);
  rows.push(['mean over D', cells(`${name}.mean`, mean), 'total strong']);
  rows.push(['exact gradient', cells(`${name}.exact`, exact), 'strong']);
  rows.push(['bias', cells(`${name}.biases`, bias)]);
  rows.push([
    'std. deviation',
    cells(
      `${name}.sd`,
      covariance.map((row, j) => Math.sqrt(row[j])),
    ),
  ]);
  return table(`${name}: what reaches θ`, head, rows, `side-${name}`);
}
