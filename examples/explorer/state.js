// `state` is all that the controls set; from it the settings of both sides, and their results.

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
  tau: {
    symbol: 'τ',
    min: 0.1,
    max: 3,
    step: 0.05,
    help: 'Temperature: how soft the softmax is that stands for the sample.',
  },
  draws: {
    symbol: 'K',
    values: [1, 2, 5, 10, 20, 50, 100],
    help: 'Draws given D that are averaged: the noise of G goes, that of D stays.',
  },
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
    text: 'The same two with a cubic loss. The slope now bends between the ends, and ReinMax has a bias too, here a larger one than Straight-Through’s. More draws (N) shrink the ellipse, never the dashed line.',
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
  const option = {
    gap: (gap) => `--gap ${typeof gap === 'string' ? gap : gap.fixed}`,
    baseline: (baseline) => `--baseline ${typeof baseline === 'string' ? baseline : 'leave-one-out:2'}`,
  };
  const options = Object.entries(settings).map(
    ([key, value]) => option[key]?.(value) ?? `--${key.replace('_', '-')} ${value}`,
  );
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
    results[name] = {
      key,
      result: { ...result, bias, biasSquared: dot(bias, bias), biasError: biasError(bias, result.covariance_of_mean) },
    };
  }
  return results[name].result;
}

/** The standard error of bias², for a mean with the normal error of covariance S: the variance is 4 bᵀ S b + 2 tr S². */
function biasError(bias, s) {
  const along = s.map((row) => dot(row, bias));
  return Math.sqrt(4 * dot(bias, along) + 2 * sum(s.flat().map((x) => x * x)));
}
