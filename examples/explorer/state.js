// `state` is all that the controls set; from it the settings of both sides, and their results.

const clone = (x) => JSON.parse(JSON.stringify(x));
const get = (id) => document.getElementById(id);

/** What an estimator's numbers are before they are changed. */
const NUMBERS = { form: 0, tau: 1, draws: 10, eta: 1, beta: 0.5, lambda: 0.5, gap: 1, order: 10, alpha: -1, k: 1 };

const START = {
  categories: 3,
  loss: 'quadratic',
  theta: [0.4, -0.3, 0.1, 0.8, -0.6, 0.2, -0.2, 0.5],
  axes: [0, 1],
  average: 1,
  train: { latents: 1, optimizer: 'sgd', rate: 0.5, batch: 8, seed: 1, speed: 1, playing: false },
  gumbel: { masked: Array(8).fill(false), seed: 1, playing: false },
  rule: { values: [2, -0.5, 0.5, 1.5], beta: 0.25 },
  paths: { shown: ['stgs-tau', 'reinmax-tau', 'rk2-beta', 'mve-order', 'blend-lambda'], average: 1 },
  coldTau: 0.5,
  expression: 'x1^3 - 2*x2*(1 - x2) + exp(x2 - x1)',
  advisorAverage: 16,
  A: { estimator: 'st', ...NUMBERS },
  B: { estimator: 'reinmax', ...NUMBERS },
};
const state = clone(START);
const NAMES = ['A', 'B'];

/** An estimator's numbers. With `values` the slider runs over their indices. */
const PARAMETERS = {
  tau: {
    symbol: 'τ',
    min: 0.1,
    max: 3,
    step: 0.05,
    help: 'Temperature of the softmax that stands for the sample.',
  },
  draws: {
    symbol: 'K',
    values: [1, 2, 5, 10, 20, 50, 100],
    help: 'Number of draws given D that are averaged. This reduces the noise of G but not that of D.',
  },
  eta: { symbol: 'η', min: 0, max: 2, step: 0.05, help: 'Weight of the control variate; 0 switches it off.' },
  beta: {
    symbol: 'β',
    min: -0.2,
    max: 1.2,
    step: 0.05,
    help: 'Weight of the far end of the line; ½ is the trapezoid.',
  },
  lambda: { symbol: 'λ', min: 0, max: 1, step: 0.05, help: 'Weight of ReinMax; the rest is ReinMax-Rao’s.' },
  gap: { symbol: 'gap', min: 0, max: 4, step: 0.05, help: 'How far below D’s logit the others must lie.' },
  order: {
    symbol: 'λ',
    values: [0, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 'inf'],
    help: 'Weight of the second order: 0 is Straight-Through, inf has no bias where f is quadratic.',
  },
  alpha: { symbol: 'α', min: -2, max: 1, step: 0.05, help: 'Weight of the control variate; 0 is leave-one-out.' },
  k: {
    symbol: 'k',
    values: [0, 1, 2, 3, 4, 5, 6, 7],
    help: 'Categories summed; 0 is REINFORCE without a baseline. With k ≥ C − 1 the gradient is exact.',
  },
};

/** The parameters that an estimator has in the form that is chosen. */
function parametersOf(side) {
  const { parameters, forms } = estimators[side.estimator];
  return [...parameters, ...(forms?.[side.form]?.parameters ?? [])];
}

/** How a parameter of the page stands in the library's configuration: name and value. */
const AS_CONFIGURED = {
  gap: (gap) => ({ gap: { fixed: gap } }),
  order: (lambda) => ({ lambda }),
  alpha: (alpha) => ({ samples: 2, alpha: { fixed: alpha } }),
};

const STORIES = [
  {
    title: 'One end or both',
    set: {},
    text: 'Straight-Through takes the slope at one end of the line between two categories, ReinMax at both. For a quadratic loss that is exact: the diamond of B sits on the tip of the arrow, that of A does not.',
  },
  {
    title: 'Where both ends fail',
    set: { loss: 'cubic' },
    text: 'The same two with a cubic loss. The slope bends between the ends, and ReinMax has a bias too, here a larger one than that of Straight-Through. More draws (N) shrink the ellipse, never the dashed line.',
  },
  {
    title: 'No bias, more variance',
    set: { loss: 'decoder', A: { estimator: 'reinmax' }, B: { estimator: 'reinforce' } },
    text: 'REINFORCE has no bias for any loss, and with a small network as loss an error many times that of ReinMax for a single draw. Raise N until B wins. Then give B a baseline.',
  },
  {
    title: 'Temperature',
    set: { A: { estimator: 'stgs', tau: 1 }, B: { estimator: 'stgs', tau: 0.2 } },
    text: 'One estimator, two temperatures. A small τ keeps the relaxed sample near a corner. It has less bias, and its factor 1/τ makes the draws scatter.',
  },
  {
    title: 'Averaging noise away',
    set: { A: { estimator: 'stgs', tau: 0.5 }, B: { estimator: 'gumbel-rao', tau: 0.5, draws: 100 } },
    text: 'Gumbel-Rao averages K relaxed samples of the same D. The mean stays, and the part of the variance that does not come from D becomes small. There is one small cluster for each D.',
  },
  {
    title: 'What a control variate cannot do',
    set: { A: { estimator: 'reinmax' }, B: { estimator: 'reinmax-cv', form: 0 } },
    text: 'Given D, ReinMax is a number without noise. A control variate whose mean given D is 0 can only add variance: the clusters of B lie around the discs of A. The other forms of B can reduce the variance, but they also move the mean.',
  },
];

/** The estimator as a run's config.json has it: { name: parameters }. */
function configuration(side) {
  const { title, parameters, ...settings } = estimators[side.estimator].forms?.[side.form] ?? {};
  for (const parameter of parametersOf(side)) {
    const value = side[parameter];
    Object.assign(settings, AS_CONFIGURED[parameter]?.(value) ?? { [parameter]: value });
  }
  if (side.estimator === 'reinmax-blend') settings.rao_tau = side.tau;
  return { [side.estimator]: settings };
}

/**
 * The estimator as options of the example `train_vae`, or null where that has no such estimator.
 */
function command(side) {
  if (estimators[side.estimator].oneChoice) return null;
  const [[name, settings]] = Object.entries(configuration(side));
  const text = (value) => (typeof value === 'object' ? Object.values(value)[0] : value);
  const baseline = (value) => (typeof value === 'string' ? value : 'leave-one-out:2');
  const options = Object.entries(settings).map(
    ([key, value]) => `--${key.replace('_', '-')} ${key === 'baseline' ? baseline(value) : text(value)}`,
  );
  return ['--estimator', name, ...options].join(' ');
}

/** Settings of a side, as `evaluate` takes them. */
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
  const key = evaluationKey(wanted);
  if (results[name]?.key !== key) {
    const result = evaluate(wanted);
    const bias = subtract(result.mean, result.exact);
    results[name] = {
      key,
      result: { ...result, bias, biasSquared: dot(bias, bias), biasError: biasError(bias, result.covariance_of_mean) },
    };
  }
  return results[name].result;
}

/**
 * The standard error of bias², for a mean with the normal error of covariance S: the variance is 4
 * bᵀ S b + 2 tr S².
 */
function biasError(bias, s) {
  const along = s.map((row) => dot(row, bias));
  return Math.sqrt(4 * dot(bias, along) + 2 * sum(s.flat().map((x) => x * x)));
}
