// Controls, and what they show. `state` is all there is to know; `render` shows it.

const clone = (x) => JSON.parse(JSON.stringify(x));
const get = (id) => document.getElementById(id);

const START = {
  categories: 3,
  loss: 'quadratic',
  theta: [0.4, -0.3, 0.1, 0.8, -0.6, 0.2, -0.2, 0.5],
  axes: [0, 1],
  average: 1,
  A: { estimator: 'st', form: 0, tau: 1, draws: 10, eta: 1, beta: 0.5, lambda: 0.5 },
  B: { estimator: 'reinmax', form: 0, tau: 1, draws: 10, eta: 1, beta: 0.5, lambda: 0.5 },
};
const state = clone(START);
const NAMES = ['A', 'B'];

/** An estimator's numbers. With `values` the slider runs over their indices. */
const PARAMETERS = {
  tau: { symbol: 'τ', min: 0.1, max: 3, step: 0.05, help: 'Temperature: how soft the softmax is that stands for the sample.' },
  draws: { symbol: 'K', values: [1, 2, 5, 10, 20, 50, 100], help: 'Draws given D that are averaged: the noise of G goes, that of D stays.' },
  eta: { symbol: 'η', min: 0, max: 2, step: 0.05, help: 'Weight of the control variate; 0 switches it off.' },
  beta: { symbol: 'β', min: -0.2, max: 1.2, step: 0.05, help: 'Weight of the far end of the way; ½ is the trapezoid.' },
  lambda: { symbol: 'λ', min: 0, max: 1, step: 0.05, help: 'Weight of ReinMax; the rest is ReinMax-Rao’s.' },
};

const STORIES = [
  {
    title: 'One end or both',
    set: {},
    text: 'Straight-Through takes the slope at one end of the way between two categories, ReinMax at both. For a quadratic loss that is exact: the diamond of B sits on the tip of the arrow, that of A does not.',
  },
  {
    title: 'Where both ends fail',
    set: { loss: 'cubic' },
    text: 'The same two with a cubic loss. The slope now bends between the ends, and ReinMax has a bias as well. More draws (N) shrink the ellipse, never the dashed line.',
  },
  {
    title: 'No bias, at a price',
    set: { loss: 'decoder', A: { estimator: 'reinmax' }, B: { estimator: 'reinforce' } },
    text: 'REINFORCE has no bias for any loss, and with a small network as loss an error many times that of ReinMax for a single draw. Raise N until B wins. Then give B a baseline.',
  },
  {
    title: 'Temperature',
    set: { A: { estimator: 'stgs', tau: 1 }, B: { estimator: 'stgs', tau: 0.2 } },
    text: 'One estimator, two temperatures. A small τ keeps the relaxed sample near a corner: less bias, and a 1/τ that throws the draws far apart.',
  },
  {
    title: 'Averaging noise away',
    set: { A: { estimator: 'stgs', tau: 0.5 }, B: { estimator: 'gumbel-rao', tau: 0.5, draws: 100 } },
    text: 'Gumbel-Rao averages K relaxed samples of the same D. The mean stays; the part of the variance that does not come from D goes. What is left is one small cluster for each D.',
  },
  {
    title: 'What a control variate cannot do',
    set: { A: { estimator: 'reinmax' }, B: { estimator: 'reinmax-cv', form: 0 } },
    text: 'Given D, ReinMax is a number without noise. A control variate whose mean given D is 0 can then only add variance: B’s clusters lie around A’s discs. Try B’s other forms: they lower the variance, where they do, by moving the mean.',
  },
];

// ---- settings and results ----------------------------------------------------------------------------------------------

/** The estimator as a run's config.json has it: { name: parameters }. */
function configuration(side) {
  const { parameters, forms } = estimators[side.estimator];
  const { title, ...settings } = forms?.[side.form] ?? {};
  for (const parameter of parameters) settings[parameter] = side[parameter];
  if (side.estimator === 'reinmax-blend') settings.rao_tau = side.tau;
  return { [side.estimator]: settings };
}

/** The same as options of the example `train_vae`. */
function command(side) {
  const [[name, settings]] = Object.entries(configuration(side));
  const options = Object.entries(settings).map(([key, value]) => {
    if (typeof value === 'object') return value.fixed === undefined ? `--${key} leave-one-out --draws 2` : `--${key} ${value.fixed}`;
    return `--${key.replace('_', '-')} ${value}`;
  });
  return ['--estimator', name, ...options].join(' ');
}

const settings = (name) => ({
  categories: state.categories,
  loss: state.loss,
  theta: state.theta.slice(0, state.categories),
  estimator: configuration(state[name]),
});

/** The last result of each side: only what a control changed is computed anew. */
const results = {};
function resultOf(name) {
  const wanted = settings(name);
  const key = JSON.stringify(wanted);
  if (results[name]?.key !== key) {
    const result = evaluate(wanted);
    const bias = subtract(result.mean, result.exact);
    results[name] = { key, result: { ...result, bias, biasSquared: dot(bias, bias), biasError: biasError(bias, result.covariance_of_mean) } };
  }
  return results[name].result;
}

/** The standard error of bias², for a mean with the normal error of covariance S: the variance is 4 bᵀ S b + 2 tr S². */
function biasError(bias, s) {
  return Math.sqrt(4 * dot(bias, s.map((row) => dot(row, bias))) + 2 * sum(s.flat().map((x) => x * x)));
}

// ---- controls ----------------------------------------------------------------------------------------------------------

/** A labelled control with its explanation below. `id` also names what is shown beside the label. */
function control(id, text, input, help) {
  input.id = id;
  const output = html('output', { for: id, id: `${id}-value` });
  const explanation = html('p', { class: 'help', id: `${id}-help` }, help);
  input.setAttribute('aria-describedby', explanation.id);
  return html('div', { class: 'control' }, html('label', { for: id }, text, output), input, help ? explanation : '');
}

function slider(id, text, { min, max, step, values, help }, value, change) {
  const [from, to, by] = values ? [0, values.length - 1, 1] : [min, max, step];
  const input = html('input', { type: 'range', min: from, max: to, step: by });
  input.value = values ? values.indexOf(value) : value;
  const element = control(id, text, input, help);
  const show = (value) => {
    element.querySelector('output').textContent = values ? String(value) : decimals(value, 2);
    input.setAttribute('aria-valuetext', String(value));
  };
  show(value);
  input.addEventListener('input', () => {
    const value = values ? values[input.value] : Number(input.value);
    show(value);
    change(value);
    update();
  });
  return element;
}

function chooser(id, text, options, value, change, help) {
  const select = html('select', {}, ...options.map(([value, title]) => html('option', { value }, title)));
  select.value = value;
  select.addEventListener('change', () => {
    change(select.value);
    build();
  });
  return control(id, text, select, help);
}

function buildProblem() {
  const radios = [2, 3, 8].map((c) => {
    const input = html('input', { type: 'radio', name: 'categories', value: c, id: `categories-${c}` });
    input.checked = state.categories === c;
    input.addEventListener('change', () => {
      state.categories = c;
      build();
    });
    return html('label', {}, input, String(c));
  });
  const help = html('p', { class: 'help' }, 'How many there are to choose from. Two make a gradient of one number, three one in a plane.');
  const categories = html('fieldset', { class: 'control' }, html('legend', {}, 'Categories C'), html('div', { class: 'options' }, ...radios), help);
  const titles = Object.entries(losses).map(([name, { title }]) => [name, title]);
  const loss = chooser('loss', 'Loss f', titles, state.loss, (value) => (state.loss = value), ' ');
  loss.querySelector('.help').innerHTML = `${losses[state.loss].formula}. ${losses[state.loss].note}`;
  const thetas = state.theta.slice(0, state.categories).map((value, j) =>
    slider(`theta-${j + 1}`, theta_(j), { min: -3, max: 3, step: 0.05 }, value, (value) => (state.theta[j] = value)));
  const what = 'The logits. A category with a larger θ is drawn more often; adding the same to all changes nothing.';
  get('problem-controls').replaceChildren(categories, loss, html('div', { class: 'thetas' }, ...thetas, html('p', { class: 'help' }, what)));
}

function buildSide(name) {
  const side = state[name];
  const { title, source, formula, note, parameters, forms } = estimators[side.estimator];
  const all = Object.entries(estimators).map(([name, { title }]) => [name, title]);
  const choosers = [chooser(`estimator-${name}`, 'Estimator', all, side.estimator, (value) => Object.assign(side, { estimator: value, form: 0 }))];
  if (forms) {
    const options = forms.map(({ title }, index) => [index, title]);
    choosers.push(chooser(`form-${name}`, 'Form', options, side.form, (value) => (side.form = Number(value)), 'Readings of one formula that are not the same.'));
  }
  const about = html('div', {}, html('p', { class: 'formula' }));
  about.firstChild.innerHTML = `∂f/∂θ ≈ ${formula}`;
  about.append(html('p', { class: 'help about' }, `${source}. ${note}`));
  const sliders = parameters.map((parameter) =>
    slider(`${parameter}-${name}`, PARAMETERS[parameter].symbol, PARAMETERS[parameter], side[parameter], (value) => (side[parameter] = value)));
  if (sliders.length === 0) sliders.push(html('p', { class: 'help' }, 'Nothing to set but the form.'));
  const heading = html('h3', {}, html('span', { class: 'badge' }, name), title);
  get(`side-${name}`).replaceChildren(
    html('div', { class: 'choosers' }, heading, ...choosers),
    about,
    html('div', { class: 'controls' }, ...sliders),
    html('div', { class: 'cloud', id: `cloud-${name}` }),
    html('div', {}, html('p', { class: 'reading', id: `reading-${name}` }), html('p', { class: 'command' }, 'To train with it: train_vae ', html('code', { id: `command-${name}` }))),
  );
}

function buildAxes() {
  const options = Array.from({ length: state.categories }, (_, j) => [j, `∂/∂${theta_(j)}`]);
  const axis = (k, text) =>
    chooser(`axis-${k + 1}`, text, options, state.axes[k], (value) => (state.axes[k] = Number(value)), 'Any of the eight coordinates of the gradient.');
  get('axes-controls').replaceChildren(...(state.categories === 8 ? [axis(0, 'Across'), axis(1, 'Upwards')] : []));
}

/** Rebuilds what depends on a choice, keeping the focus, and shows everything. */
function build() {
  const focused = document.activeElement?.id;
  buildProblem();
  NAMES.forEach(buildSide);
  buildAxes();
  const average = { values: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], help: 'Draws averaged in one training step, as a batch does. The variance falls to 1/N of one draw’s, the bias stays.' };
  get('average-control').replaceChildren(slider('average', 'N', average, state.average, (value) => (state.average = value)));
  if (focused) get(focused)?.focus();
  render();
}

// ---- showing -----------------------------------------------------------------------------------------------------------

let scheduled = false;
/** Shows the state at the next frame, once however many events come before it. */
function update() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(render);
}

/** A number as text, with all its digits in `data-value` and its name in `data-shown`. */
function number(tag, name, value, attributes = {}) {
  return html(tag, { 'data-shown': name, 'data-value': value, ...attributes }, decimals(value));
}

function render() {
  scheduled = false;
  const sides = NAMES.map((name) => {
    const result = resultOf(name);
    const { drawn } = estimators[state[name].estimator];
    return { name, result, drawn, dots: cloudPoints(result, drawn), bias: result.biasSquared, biasError: result.biasError, variance: result.variance };
  });
  renderChoice(sides[0].result);
  renderWay(sides[0].result);
  renderClouds(sides);
  renderBars(sides);
  get('error-chart').replaceChildren(errorChart(sides, state.average));
  get('error-chart').firstChild.setAttribute('aria-label', 'Error of the average of N draws against N, for A and B');
  get('verdict').textContent = verdict(sides);
  get('tables').replaceChildren(problemTable(sides[0].result), ...sides.map(estimatorTable));
  get('draws-given').textContent = String(constants.draws_given[state.categories]);
}

function renderChoice({ pi, values }) {
  const svg = simplexPlot(pi, values);
  const text = pi.map((p, j) => `${j + 1}: ${decimals(p, 2)}`).join(', ');
  svg.setAttribute('aria-label', `π, the probabilities of the categories: ${text}`);
  get('simplex').replaceChildren(svg);
  get('simplex-caption').textContent = {
    2: 'Two categories: π is a point between the two corners. Drag it, or use the sliders.',
    3: 'Three categories: π is a point of the triangle, nearest to the likeliest corner. Drag it, or use the sliders.',
    8: 'Eight categories: the simplex has seven dimensions, so here are the probabilities π themselves.',
  }[state.categories];
}

/** The way between the two likeliest categories: where the bias of one-sided slopes comes from. */
function renderWay({ pi, g, values }) {
  const way = pi.map((_, j) => j).sort((a, b) => pi[b] - pi[a]).slice(0, 2);
  const areas = wayOf(losses[state.loss], g, values, way);
  const svg = wayPlot(areas, way);
  svg.setAttribute('aria-label', `Slope of the loss from category ${way[0] + 1} to category ${way[1] + 1}`);
  const [from, to] = way.map((j) => j + 1);
  const value = (name) => number('b', `way.${name}`, areas[name]);
  get('way').replaceChildren(svg, html('figcaption', {},
    `The slope of f on the straight way between the two likeliest categories. Its signed area is f(${to}) − f(${from}) = `, value('exact'),
    `, the true cost of the change. But when D\u00a0=\u00a0${from} is drawn, only the slope at that end is seen: Straight-Through takes the dashed rectangle, `,
    value('rectangle'), ', for the area; ReinMax, on average, the dotted trapezoid of both ends, ', value('trapezoid'), '. What is missing becomes bias.'));
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
    get(`command-${name}`).textContent = command(state[name]);
  }
  const lost = sides.filter(({ result }) => categories === 3 && Math.abs(sum(result.mean)) > 1e-9).map(({ name }) => name);
  const hidden = lost.length ? ` The numbers of ${lost.join(' and ')} do not sum to 0; the part along (1, 1, 1) is not drawn, but counted.` : '';
  const outside = sides.map(({ name, dots }) => `${name} ${percent(outsideShare(dots, view, reach))}`);
  const cut = outside.every((text) => text.endsWith(' 0 %')) ? 'All draws lie inside.' : `Draws outside the frame: ${outside.join(', ')}.`;
  get('projection').textContent = `Shown: ${view.words}. Both plots have one scale. ${cut}${hidden}`;
}

const percent = (x) => (x < 0.0005 ? '0 %' : `${Number((100 * x).toPrecision(2))} %`);

/** What the plot says, in words. */
function reading({ result }) {
  const size = Math.sqrt(dot(result.exact, result.exact));
  const off = Math.sqrt(result.biasSquared);
  const scatter = Math.sqrt(result.variance);
  const share = (x) => percent(x / size);
  // A bias that the sampling error of the mean explains is no evidence of one.
  const exactly = off < 1e-9 * Math.max(size, 1);
  const within = result.biasSquared < 3 * result.biasError;
  const bias = exactly
    ? 'On average exactly right: no bias.'
    : within
      ? 'On average right, as far as these draws can tell.'
      : `On average off by ${decimals(off, 3)}, ${share(off)} of the exact gradient’s length.`;
  const spread = scatter < 1e-9 ? 'Every draw gives the same.' : `One draw scatters by ${decimals(scatter, 3)} around the mean, ${share(scatter)} of that length.`;
  return `${bias} ${spread}`;
}

function renderBars(sides) {
  const n = state.average;
  const of = ({ bias, variance }) => ({ bias, variance: variance / n, error: bias + variance / n });
  const longest = Math.max(1e-12, ...sides.map((side) => of(side).error));
  const fill = (value, kind = '') => html('div', { class: `fill ${kind}`, style: `width: ${(100 * value) / longest}%` });
  const uncertainty = (key, { name, biasError }) =>
    key === 'bias' ? html('span', { class: 'plus-minus', id: `uncertainty-${name}` }, biasError > 0 ? `± ${tick(Number(biasError.toPrecision(1)))}` : '') : '';
  const group = (key, title) => {
    const bars = sides.map((side) => {
      const { bias, variance, error } = of(side);
      const parts = { bias: [fill(bias)], variance: [fill(variance, 'lighter')], error: [fill(bias), fill(variance, 'lighter')] }[key];
      const value = { bias, variance, error }[key];
      return html('div', { class: `bar side-${side.name}` }, html('span', { class: 'name' }, side.name), html('div', { class: 'track' }, ...parts), number('span', `${side.name}.${key}`, value, { class: 'number' }), uncertainty(key, side));
    });
    return html('div', { class: 'bar-group' }, html('div', {}, title), ...bars);
  };
  const per = n === 1 ? 'Variance' : `Variance / ${n}`;
  get('bars').replaceChildren(group('bias', 'Bias²'), group('variance', per), group('error', `Error = bias² + ${per.toLowerCase()}`));
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
  if (alike) return `${text} Their biases are the same, as far as these draws can tell, so the variance decides at every N.`;
  // bias² + variance/N is the same for both at this N, if at any.
  const crossing = (worse.variance - better.variance) / (better.bias - worse.bias);
  if (better.bias > worse.bias && crossing > n) {
    return `${text} From about ${Math.ceil(crossing)} draws on it is ${worse.name}: it has more variance, which averaging takes away, and less bias, which stays.`;
  }
  if (better.bias < worse.bias && crossing >= 1) return `${text} With fewer than about ${Math.ceil(crossing)} it would be ${worse.name}.`;
  return `${text} No number of draws changes that.`;
}

// ---- tables ------------------------------------------------------------------------------------------------------------

/** A table whose rows are [heading, cells, class]. */
function table(caption, head, rows, kind = '') {
  const headings = html('tr', {}, ...head.map((text) => html('th', { scope: 'col' }, text)));
  const lines = rows.map(([heading, cells, line = '']) => html('tr', { class: line }, html('th', { scope: 'row' }, heading), ...cells));
  const content = html('table', {}, html('caption', {}, caption), html('thead', {}, headings), html('tbody', {}, ...lines));
  return html('div', { class: `table ${kind}`, tabindex: 0, role: 'region', 'aria-label': caption }, content);
}

const cells = (name, vector) => vector.map((x, j) => number('td', `${name}.${j}`, x));

function problemTable({ pi, values, g }) {
  const head = ['D', 'π(D)', 'f(D)', ...pi.map((_, j) => `g${subscript(j + 1)}`)];
  const rows = pi.map((p, hot) => [String(hot + 1), [number('td', `pi.${hot}`, p), number('td', `values.${hot}`, values[hot]), ...cells(`g.${hot}`, g[hot])]]);
  return table('The loss f and its slope g at each D', head, rows);
}

function estimatorTable({ name, result, drawn }) {
  const { given, mean, exact, bias, covariance, pi } = result;
  const head = ['', ...pi.map((_, j) => `∂/∂${theta_(j)}`)];
  const rows = given.map((given, hot) => [`D = ${hot + 1}${drawn ? ', mean' : ''}`, cells(`${name}.given.${hot}`, given)]);
  rows.push(['mean over D', cells(`${name}.mean`, mean), 'total strong']);
  rows.push(['exact gradient', cells(`${name}.exact`, exact), 'strong']);
  rows.push(['bias', cells(`${name}.biases`, bias)]);
  rows.push(['standard deviation', cells(`${name}.sd`, covariance.map((row, j) => Math.sqrt(row[j])))]);
  return table(`${name}: what reaches θ`, head, rows, `side-${name}`);
}

// ---- stories, dragging, theme ------------------------------------------------------------------------------------------

function tell(index) {
  const { set, text } = STORIES[index];
  const { A, B, ...rest } = clone(START);
  Object.assign(state, rest, set, { A: { ...A, ...set.A }, B: { ...B, ...set.B } });
  get('story-text').textContent = text;
  [...get('stories').children].forEach((button, i) => button.setAttribute('aria-pressed', i === index));
  build();
}

/** Sets θ = log π less its mean, on the sliders' grid. */
function dragTo(event) {
  const svg = get('simplex').firstChild;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const logs = piAt(state.categories, [at.x, at.y]).map((p) => Math.log(Math.max(p, 1e-3)));
  const centre = sum(logs) / logs.length;
  logs.forEach((log, j) => {
    state.theta[j] = Number(Math.min(3, Math.max(-3, Math.round((log - centre) * 20) / 20)).toFixed(2));
    const input = get(`theta-${j + 1}`);
    input.value = state.theta[j];
    get(`theta-${j + 1}-value`).textContent = decimals(state.theta[j], 2);
    input.setAttribute('aria-valuetext', String(state.theta[j]));
  });
  update();
}

get('simplex').addEventListener('pointerdown', (event) => {
  if (state.categories === 8) return;
  get('simplex').setPointerCapture(event.pointerId);
  dragTo(event);
});
get('simplex').addEventListener('pointermove', (event) => {
  if (get('simplex').hasPointerCapture(event.pointerId)) dragTo(event);
});

const darkByDefault = matchMedia('(prefers-color-scheme: dark)');
function showTheme() {
  const dark = (document.documentElement.dataset.theme ?? (darkByDefault.matches ? 'dark' : 'light')) === 'dark';
  get('theme').textContent = dark ? 'Light' : 'Dark';
  return dark;
}
get('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = showTheme() ? 'light' : 'dark';
  showTheme();
});
darkByDefault.addEventListener('change', showTheme);

STORIES.forEach(({ title }, index) => {
  const button = html('button', { type: 'button' }, title);
  button.addEventListener('click', () => tell(index));
  get('stories').append(button);
});

/** For tests and for the console: what the page itself uses. */
window.hardgrad = { evaluate, settings, estimators, losses, state };
showTheme();
tell(0);
