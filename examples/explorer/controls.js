// What sets the state: sliders, lists, stories, dragging π, and the choice of light or dark.

/**
 * A labelled control. Its explanation, of the id `describedBy`, stands below it unless it is shown
 * elsewhere.
 */
function control(id, text, input, help, describedBy = `${id}-help`) {
  input.id = id;
  input.setAttribute('aria-describedby', describedBy);
  const output = html('output', { for: id, id: `${id}-value` });
  const explanation = help ? html('p', { class: 'help', id: describedBy }, help) : '';
  return html('div', { class: 'control' }, html('label', { for: id }, text, output), input, explanation);
}

function slider(id, text, { min, max, step, values, help, describedBy }, value, change) {
  const [from, to, by] = values ? [0, values.length - 1, 1] : [min, max, step];
  const input = html('input', { type: 'range', min: from, max: to, step: by });
  input.value = values ? values.indexOf(value) : value;
  const element = control(id, text, input, help, describedBy);
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

function chooser(id, text, options, value, change, help, describedBy) {
  const select = html('select', {}, ...options.map(([value, title]) => html('option', { value }, title)));
  select.value = value;
  select.addEventListener('change', () => {
    change(select.value);
    build();
  });
  return control(id, text, select, help, describedBy);
}

/**
 * Radio buttons or boxes below one legend. An option has the attributes of its input, a text,
 * whether it is checked, and what a change does. Without a help text, the options fill the width in
 * columns.
 */
function choices(type, legend, options, help) {
  const labels = options.map(({ text, checked, change, ...attributes }) => {
    const input = html('input', { type, ...attributes });
    input.checked = checked;
    input.addEventListener('change', () => change(input));
    return html('label', {}, input, text);
  });
  const [wide, columns] = help ? ['', ''] : [' wide', ' columns'];
  return html(
    'fieldset',
    { class: `control${wide}` },
    html('legend', {}, legend),
    html('div', { class: `options${columns}` }, ...labels),
    ...(help ? [html('p', { class: 'help' }, help)] : []),
  );
}

function buildProblem() {
  const counts = [2, 3, 8].map((c) => ({
    name: 'categories',
    value: c,
    id: `categories-${c}`,
    text: String(c),
    checked: state.categories === c,
    change: () => {
      state.categories = c;
      build();
    },
  }));
  const help = 'Number of categories. With two the gradient is one number, with three it lies in a plane.';
  const categories = choices('radio', 'Categories C', counts, help);
  const titles = Object.entries(losses).map(([name, { title }]) => [name, title]);
  const loss = chooser('loss', 'Loss f', titles, state.loss, (value) => (state.loss = value), ' ');
  loss.querySelector('.help').innerHTML = `${losses[state.loss].formula}. ${losses[state.loss].note}`;
  const range = { min: -3, max: 3, step: 0.05, describedBy: 'theta-help' };
  const thetas = state.theta
    .slice(0, state.categories)
    .map((value, j) => slider(`theta-${j + 1}`, theta_(j), range, value, (value) => (state.theta[j] = value)));
  const what = 'The logits. A category with a larger θ is drawn more often; adding the same to all changes nothing.';
  get('problem-controls').replaceChildren(
    categories,
    loss,
    html('div', { class: 'thetas' }, ...thetas, html('p', { class: 'help', id: 'theta-help' }, what)),
  );
}

function buildSide(name) {
  const side = state[name];
  const { title, source, formula, note, forms } = estimators[side.estimator];
  const all = Object.entries(estimators).map(([name, { title }]) => [name, title]);
  const choose = (estimator) => Object.assign(side, { estimator, form: 0 });
  const choosers = [chooser(`estimator-${name}`, 'Estimator', all, side.estimator, choose, '', `about-${name}`)];
  if (forms) {
    const options = forms.map(({ title }, index) => [index, title]);
    const help = 'Different readings of one formula.';
    choosers.push(chooser(`form-${name}`, 'Form', options, side.form, (form) => (side.form = Number(form)), help));
  }
  const about = html('div', {}, html('p', { class: 'formula' }));
  about.firstChild.innerHTML = coloured(`∂f/∂θ ≈ ${formula}`);
  about.append(html('p', { class: 'help about', id: `about-${name}` }, `${source}. ${note}`));
  const sliders = parametersOf(side).map((parameter) => {
    const set = (value) => (side[parameter] = value);
    return slider(`${parameter}-${name}`, PARAMETERS[parameter].symbol, PARAMETERS[parameter], side[parameter], set);
  });
  if (sliders.length === 0)
    sliders.push(html('p', { class: 'help' }, forms ? 'Nothing to set but the form.' : 'It has no parameter.'));
  const heading = html('h3', {}, html('span', { class: 'badge' }, name), title);
  get(`side-${name}`).replaceChildren(
    html('div', { class: 'choosers' }, heading, ...choosers),
    about,
    html('div', { class: 'controls' }, ...sliders),
    html('div', { class: 'cloud', id: `cloud-${name}` }),
    html(
      'div',
      {},
      html('p', { class: 'reading', id: `reading-${name}` }),
      html('p', { class: 'command', id: `command-${name}` }),
    ),
  );
}

function buildAxes() {
  const options = Array.from({ length: state.categories }, (_, j) => [j, `∂/∂${theta_(j)}`]);
  const help = 'Any of the eight coordinates of the gradient.';
  const axis = (k, text) =>
    chooser(`axis-${k + 1}`, text, options, state.axes[k], (value) => (state.axes[k] = Number(value)), help);
  get('axes-controls').replaceChildren(...(state.categories === 8 ? [axis(0, 'Across'), axis(1, 'Upwards')] : []));
}

/** Rebuilds the controls that depend on a choice, keeps the focus, and shows everything. */
function build() {
  const focused = document.activeElement?.id;
  buildProblem();
  NAMES.forEach(buildSide);
  buildAxes();
  const average = {
    values: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    help: 'Number of draws averaged in one training step. The variance falls to 1/N of that of one draw; the bias stays.',
  };
  get('average-control').replaceChildren(
    slider('average', 'N', average, state.average, (value) => (state.average = value)),
  );
  buildTraining();
  buildGumbel();
  buildRule();
  buildPaths();
  buildTemperature();
  buildAdvisor();
  if (focused) get(focused)?.focus();
  render();
}

/** Sets the state of a story, and shows its text in the paragraph `id`. */
function tell({ set, text }, id, pressed) {
  // What the other panels have set, such as a typed loss, stays.
  const { A, B, train, theta, categories, loss, axes, average } = clone(START);
  Object.assign(state, { categories, loss, axes, average }, set, { A: { ...A, ...set.A }, B: { ...B, ...set.B } });
  state.theta = [...(set.theta ?? theta), ...theta].slice(0, theta.length);
  playTraining(false);
  playGumbel(false);
  playCold(false);
  state.train = { ...train, ...set.train };
  get('story-text').textContent = '';
  get('train-story-text').textContent = '';
  get(id).textContent = text;
  for (const button of document.querySelectorAll('#stories button, #train-stories button')) {
    button.setAttribute('aria-pressed', button === pressed);
  }
  build();
}

/** A button for each story, in the element `place`, with its text in `id`. */
function offerStories(stories, place, id) {
  for (const story of stories) {
    const button = html('button', { type: 'button' }, story.title);
    button.addEventListener('click', () => tell(story, id, button));
    get(place).append(button);
  }
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

offerStories(STORIES, 'stories', 'story-text');
offerStories(TRAINING_STORIES, 'train-stories', 'train-story-text');
get('train-play').addEventListener('click', () => playTraining(!state.train.playing));
get('train-step').addEventListener('click', stepTraining);
get('train-restart').addEventListener('click', () => {
  restartTraining(training.key);
  drawTraining();
});

get('gumbel-one').addEventListener('click', () => drawMany(1));
get('gumbel-hundred').addEventListener('click', () => drawMany(100));
get('gumbel-play').addEventListener('click', () => playGumbel(!state.gumbel.playing));
get('gumbel-clear').addEventListener('click', () => {
  gumbelRun = null;
  renderGumbel();
});
get('rule-plots').addEventListener('pointerdown', (event) => {
  const svg = event.target.closest('svg');
  if (!svg) return;
  draggedPoint = { screen: svg.getScreenCTM().inverse() };
  get('rule-plots').setPointerCapture(event.pointerId);
  dragRule(event);
});
get('rule-plots').addEventListener('pointermove', (event) => {
  if (get('rule-plots').hasPointerCapture(event.pointerId)) dragRule(event);
});
get('cold-play').addEventListener('click', () => playCold(coldTimer === null));
get('advisor-use').addEventListener('click', useExpression);

/** For tests and for the console: what the page itself uses. */
window.hardgrad = {
  evaluate,
  settings,
  estimators,
  losses,
  state,
  train,
  trainingSettings,
  training: () => training,
  gumbelSettings,
  gumbelRun: () => gumbelRun,
  ruleAreas,
  pathSettings,
  coldSettings,
  advisorSettings,
  everyEstimator,
  compileExpression,
};
for (const element of document.querySelectorAll('.notation dt, .notation dd, .lede, .about-panel')) {
  element.innerHTML = coloured(element.innerHTML);
}
showTheme();
get('stories').firstChild.click();
