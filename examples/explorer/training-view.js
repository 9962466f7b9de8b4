// The panel that trains in the page: its controls, the frames of a run, the paths on the simplex
// and the curves.

const TRAINED = ['A', 'B', 'exact'];
const TRAINING_CATEGORIES = 3;
/** Milliseconds of a frame that are spent on steps; drawing takes some more. */
const STEP_TIME = 6;
/** Points of a path that are kept. When there are more, every second one is left out. */
const KEPT = 240;

const TRAINING_STORIES = [
  {
    title: 'The wrong corner',
    set: {
      loss: 'concave',
      theta: [-1, -0.5, 1],
      A: { estimator: 'st' },
      B: { estimator: 'reinmax' },
      train: { optimizer: 'sgd', rate: 0.5, batch: 16, speed: 2 },
    },
    text: 'The loss is concave: at each corner, the slope favours that corner. Straight-Through uses only the slope at the sample, so it goes to the corner near which it started, 3, which is the worst. ReinMax takes the slope at both ends and follows the exact gradient to corner 1.',
  },
  {
    title: 'Variance costs steps',
    set: {
      loss: 'linear',
      theta: [2, -2, 0],
      A: { estimator: 'st' },
      B: { estimator: 'reinmax' },
      train: { optimizer: 'adam', rate: 0.1, batch: 1, speed: 1 },
    },
    text: 'The loss is linear, so neither estimator has a bias. Straight-Through has no variance here either, while ReinMax scatters. With one draw in each step and Adam, which divides by the root mean square of the gradients, ReinMax is slower. With a batch of 64 the two are nearly equal.',
  },
];

let training = null;

/** Settings of each run, as `startRun` and the library take them. */
function trainingSettings(name) {
  const { latents, optimizer, rate, batch, seed } = state.train;
  const start = state.theta.slice(0, TRAINING_CATEGORIES);
  const theta = Array.from({ length: latents }, (_, l) => start.map((_, j) => start[(j + l) % TRAINING_CATEGORIES]));
  const estimator = name === 'exact' ? null : configuration(state[name]);
  return { loss: state.loss, theta, estimator, optimizer, rate, batch, seed };
}

/** Whether an estimator can train so many variables. */
const canTrain = (name) =>
  name === 'exact' || state.train.latents === 1 || !estimators[state[name].estimator].oneChoice;

function restartTraining(key) {
  const names = TRAINED.filter(canTrain);
  const runs = Object.fromEntries(names.map((name) => [name, startRun(trainingSettings(name))]));
  training = { key, runs, history: [], stride: 1, pending: null, frames: training?.frames ?? [] };
  keepHistory();
}

/** Keeps where the runs are, at every `stride`-th step. */
function keepHistory() {
  const { runs, history, stride } = training;
  if (runs.exact.step % stride) return;
  const entry = { step: runs.exact.step };
  for (const [name, run] of Object.entries(runs)) {
    entry[name] = { pis: run.theta.map((theta) => softmax(theta)), mean: run.mean };
  }
  history.push(entry);
  if (history.length <= KEPT) return;
  training.history = history.filter((_, k) => k % 2 === 0);
  training.stride *= 2;
}

function* stepAll() {
  for (const run of Object.values(training.runs)) yield* stepOf(run);
}

/** Takes up to `count` steps, and stops in the midst of one when the time is up. */
function advanceTraining(count, milliseconds) {
  const end = performance.now() + milliseconds;
  for (let done = 0; done < count;) {
    training.pending ??= stepAll();
    if (training.pending.next().done) {
      training.pending = null;
      keepHistory();
      done += 1;
    }
    if (performance.now() > end) return;
  }
}

function trainingFrame() {
  const start = performance.now();
  advanceTraining(state.train.speed, STEP_TIME);
  drawTraining();
  training.frames.push(performance.now() - start);
  if (training.frames.length > 5000) training.frames.shift();
}

const playTraining = player('train-play', () => state.train, trainingFrame);

/** One whole step, after what is left of one that was begun. */
function stepTraining() {
  playTraining(false);
  advanceTraining(1, Infinity);
  drawTraining();
}

function buildTraining() {
  const { train } = state;
  const set = (name) => (value) => (train[name] = value);
  const counts = [1, 2, 3].map((latents) => ({
    name: 'latents',
    value: latents,
    id: `latents-${latents}`,
    text: String(latents),
    checked: train.latents === latents,
    change: () => {
      train.latents = latents;
      update();
    },
  }));
  const help = 'Three categories each. The loss sees a weighted mean of their points.';
  const latents = choices('radio', 'Variables L', counts, help);
  const optimizers = [
    ['sgd', 'Gradient descent'],
    ['adam', 'Adam'],
  ];
  const rates = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
  const seeds = Array.from({ length: 20 }, (_, k) => k + 1);
  get('train-controls').replaceChildren(
    latents,
    chooser('optimizer', 'Optimiser', optimizers, train.optimizer, set('optimizer'), 'Works on the logits θ.'),
    slider('rate', 'Learning rate', { values: rates, help: 'Size of a step.' }, train.rate, set('rate')),
    slider(
      'batch',
      'Batch',
      { values: [1, 2, 4, 8, 16, 32, 64], help: 'Draws whose gradients are averaged in a step.' },
      train.batch,
      set('batch'),
    ),
    slider(
      'seed',
      'Seed',
      { values: seeds, help: 'Of the noise. A and B get the same Gumbel noise.' },
      train.seed,
      set('seed'),
    ),
    slider(
      'speed',
      'Speed',
      { values: [1, 2, 5, 10, 20, 50], help: 'Steps per frame, if there is time for them.' },
      train.speed,
      set('speed'),
    ),
  );
}

/** Begins anew if anything that a run depends on has changed, and draws. */
function renderTraining() {
  const key = JSON.stringify(TRAINED.map(trainingSettings));
  if (training?.key !== key) restartTraining(key);
  drawTraining();
}

const sideClass = (name) => (name === 'exact' ? 'side-exact' : `side-${name}`);

function drawTraining() {
  const { runs } = training;
  const latents = Array.from({ length: state.train.latents }, (_, l) => pathsPlot(l));
  get('train-simplices').replaceChildren(...latents);
  get('train-simplices').className = `simplices of-${latents.length}`;
  get('train-chart').replaceChildren(lossChart());
  const rows = Object.entries(runs).map(([name, run]) => {
    const pis = run.theta.flatMap((theta, l) =>
      softmax(theta).map((p, j) => number('td', `train.${name}.pi.${l}.${j}`, p)),
    );
    const heading = name === 'exact' ? 'exact gradient' : `${name}: ${estimators[state[name].estimator].title}`;
    return [heading, [number('td', `train.${name}.mean`, run.mean), ...pis], sideClass(name)];
  });
  const pi = (l, j) =>
    runs.exact.theta.length === 1 ? `π${subscript(j + 1)}` : `π${superscript(l + 1)}${subscript(j + 1)}`;
  const heads = runs.exact.theta.flatMap((theta, l) => theta.map((_, j) => pi(l, j)));
  get('train-table').replaceChildren(table(`After step ${runs.exact.step}`, ['', 'E f(D)', ...heads], rows));
  const left = TRAINED.filter((name) => !(name in runs));
  get('train-note').textContent = left
    .map((name) => `${name}, ${estimators[state[name].estimator].title}, is for a single variable: choose L = 1.`)
    .join(' ');
}

/** π of one variable on its way over the simplex. */
function pathsPlot(l) {
  const place = (pi) => {
    const [x, y] = [0, 1].map((axis) =>
      dot(
        pi,
        CORNERS.map((corner) => corner[axis]),
      ),
    );
    return [150 + 122 * x, 158 - 122 * y];
  };
  const corners = [0, 1, 2].map((j) => place(oneHot(j, 3)));
  const described = `Paths of π of variable ${l + 1} on the simplex`;
  const svg = draw('svg', { viewBox: '0 0 300 262', role: 'img', 'aria-label': described });
  svg.append(draw('path', { d: `${pathThrough(corners)}Z`, class: 'simplex' }));
  corners.forEach(([cx, cy], j) => {
    svg.append(draw('circle', { cx, cy, r: 4, class: 'corner' }));
    const text = state.train.latents === 1 ? cornerText(j) : `${j + 1}`;
    svg.append(label(text, [cx, cy + (j === 2 ? -11 : 21)], { class: 'corner-label' }));
  });
  if (state.train.latents > 1) svg.append(label(`variable ${l + 1}`, [18, 20], { 'text-anchor': 'start' }));
  for (const [name, run] of Object.entries(training.runs).reverse()) {
    const now = place(softmax(run.theta[l]));
    const points = [...training.history.map((entry) => place(entry[name].pis[l])), now];
    const group = draw('g', { class: `way ${sideClass(name)}` });
    group.append(draw('path', { d: pathThrough(points) }), draw('circle', { cx: now[0], cy: now[1], r: 5 }));
    svg.append(group);
  }
  const [sx, sy] = place(training.history[0].exact.pis[l]);
  svg.append(draw('circle', { cx: sx, cy: sy, r: 3.5, class: 'begin' }));
  return svg;
}

const cornerText = (j) => `${j + 1}: f = ${decimals(training.runs.exact.values[j], 2)}`;

/** E f(D) against steps. The dashed line is the lowest loss of all codes. */
function lossChart() {
  const { runs, history } = training;
  const { values, step } = runs.exact;
  const best = Math.min(...values);
  const means = history.flatMap((entry) => Object.keys(runs).map((name) => entry[name].mean));
  const [low, high] = [best, Math.max(...means, best + 0.1)];
  const margin = 0.06 * (high - low);
  const { svg, at, box } = chart({
    x: { range: [0, Math.max(50, step)], name: 'steps' },
    y: { range: [low - margin, high + margin], name: 'E f(D)' },
    described: 'Expected loss against steps, for A, B and the exact gradient',
  });
  const [, floor] = at([0, best]);
  svg.append(draw('line', { x1: box.left, y1: floor, x2: box.right, y2: floor, class: 'lowest' }));
  for (const [name, run] of Object.entries(runs).reverse()) {
    const points = [...history.map((entry) => [entry.step, entry[name].mean]), [run.step, run.mean]].map(at);
    const [cx, cy] = points.at(-1);
    const group = draw('g', { class: `way ${sideClass(name)}` });
    group.append(draw('path', { d: pathThrough(points) }), draw('circle', { cx, cy, r: 4 }));
    svg.append(group);
  }
  return svg;
}
