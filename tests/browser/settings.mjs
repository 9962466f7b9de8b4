// The settings at which page and library are compared. Written out here, and not read from the
// page, so that the page cannot leave one out.

export const LOSSES = ['linear', 'quadratic', 'cubic', 'concave', 'decoder'];
export const CATEGORIES = [2, 3, 8];

/** Every estimator with its forms, as the library reads them, and the parameters it has beside. */
export const ESTIMATORS = {
  st: { parameters: ['tau'] },
  stgs: { parameters: ['tau'] },
  'gumbel-rao': { parameters: ['tau', 'draws'] },
  gst: { parameters: ['tau'], forms: [{ parameters: ['gap'] }, { gap: 'probability' }] },
  reinmax: { parameters: ['tau'] },
  'reinmax-argmax': { parameters: ['tau'] },
  'reinmax-rk2': { parameters: ['beta'], forms: [{ form: 'projected' }, { form: 'eq27' }, { form: 'author-code' }] },
  'reinmax-rao': { parameters: ['tau', 'draws'] },
  'reinmax-cv': {
    parameters: ['tau', 'draws', 'eta'],
    forms: [{ form: 'coupled' }, { form: 'shared' }, { form: 'printed' }, { form: 'author-code' }],
  },
  'reinmax-blend': { parameters: ['tau', 'draws', 'lambda'] },
  darn: { parameters: [] },
  mve: { parameters: ['order'] },
  zgr: { parameters: [] },
  'gumbel-softmax': { parameters: ['tau'] },
  reinforce: {
    parameters: [],
    forms: [{ baseline: 'none' }, { baseline: 'running-mean' }, { baseline: { 'leave-one-out': { samples: 2 } } }],
  },
  rebar: { parameters: ['tau', 'eta'] },
  'double-control-variate': { parameters: ['alpha'] },
  'pair-without-replacement': { parameters: [] },
  'sum-and-sample': { parameters: ['k'] },
  'local-expectation': { parameters: [] },
};

/** Every parameter that the page has a control for. */
export const PARAMETERS = ['tau', 'draws', 'eta', 'beta', 'lambda', 'gap', 'order', 'alpha', 'k'];

/** The parameters of an estimator in this form. */
export const parametersOf = ({ parameters, forms }, form) => [...parameters, ...(forms?.[form]?.parameters ?? [])];

/** The estimator's configuration with these values for what it has. */
export function configuration(name, form, values) {
  const { parameters, ...settings } = ESTIMATORS[name].forms?.[form] ?? {};
  for (const parameter of parametersOf(ESTIMATORS[name], form)) {
    const value = values[parameter];
    if (parameter === 'gap') settings.gap = { fixed: value };
    else if (parameter === 'order') settings.lambda = value;
    else if (parameter === 'alpha') Object.assign(settings, { samples: 2, alpha: { fixed: value } });
    else settings[parameter] = value;
  }
  if (name === 'reinmax-blend') settings.rao_tau = values.tau; // the page has one temperature for both
  return { [name]: settings };
}

/**
 * Near 0, skewed, and both ends of the sliders, with parameters from the middle and the ends of
 * theirs.
 */
const POINTS = [
  {
    theta: [0.4, -0.3, 0.1, 0.8, -0.6, 0.2, -0.2, 0.5],
    values: { tau: 1, draws: 1, eta: 1, beta: 0.5, lambda: 0.5, gap: 1, order: 10, alpha: -1, k: 1 },
  },
  {
    theta: [-1.2, 1.5, 0.3, -0.4, 2, -2, 1.1, 0.6],
    values: { tau: 0.3, draws: 7, eta: 0.5, beta: 0.7, lambda: 0.25, gap: 0.4, order: 0.3, alpha: 0.5, k: 2 },
  },
  {
    theta: [3, -3, 2.5, -2.5, 3, -3, 0, 1],
    values: { tau: 2.5, draws: 100, eta: 2, beta: -0.2, lambda: 1, gap: 4, order: 'inf', alpha: -2, k: 7 },
  },
  {
    theta: [-0.5, 0.5, -3, 3, 0, 1, -1, 2],
    values: { tau: 0.1, draws: 2, eta: 0, beta: 1.2, lambda: 0, gap: 0, order: 1000, alpha: 0, k: 0 },
  },
];

/**
 * Every estimator × form × loss × C at every point with three draws for each D, and once with all
 * draws.
 */
export function grid() {
  const settings = [];
  for (const [name, { forms }] of Object.entries(ESTIMATORS)) {
    for (const form of (forms ?? [{}]).keys()) {
      for (const loss of LOSSES) {
        for (const categories of CATEGORIES) {
          POINTS.forEach(({ theta, values }, k) => {
            const setting = {
              categories,
              loss,
              theta: theta.slice(0, categories),
              estimator: configuration(name, form, values),
            };
            settings.push({ ...setting, samples: 3 });
            if (k === 0) settings.push(setting);
          });
        }
      }
    }
  }
  return settings;
}
