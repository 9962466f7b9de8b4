// The settings at which page and library are compared. Written out here, and not read from the page, so that the page cannot leave
// one out.

export const LOSSES = ['linear', 'quadratic', 'cubic', 'decoder'];
export const CATEGORIES = [2, 3, 8];

/** Every estimator with its forms, as the library reads them, and the parameters it has beside. */
export const ESTIMATORS = {
  st: { parameters: ['tau'] },
  stgs: { parameters: ['tau'] },
  'gumbel-rao': { parameters: ['tau', 'draws'] },
  gst: { parameters: ['tau'], forms: [{ gap: { fixed: 1 } }, { gap: 'probability' }] },
  reinmax: { parameters: ['tau'] },
  'reinmax-argmax': { parameters: ['tau'] },
  'reinmax-rk2': { parameters: ['beta'], forms: [{ form: 'projected' }, { form: 'eq27' }, { form: 'author-code' }] },
  'reinmax-rao': { parameters: ['tau', 'draws'] },
  'reinmax-cv': {
    parameters: ['tau', 'draws', 'eta'],
    forms: [{ form: 'coupled' }, { form: 'shared' }, { form: 'printed' }, { form: 'author-code' }],
  },
  'reinmax-blend': { parameters: ['tau', 'draws', 'lambda'] },
  reinforce: {
    parameters: [],
    forms: [{ baseline: 'none' }, { baseline: 'running-mean' }, { baseline: { 'leave-one-out': { samples: 2 } } }],
  },
  rebar: { parameters: ['tau', 'eta'] },
};

/** The estimator's configuration with these values for what it has. */
export function configuration(name, form, values) {
  const { parameters, forms } = ESTIMATORS[name];
  const settings = { ...forms?.[form] };
  for (const parameter of parameters) settings[parameter] = values[parameter];
  if (name === 'reinmax-blend') settings.rao_tau = values.tau; // the page has one temperature for both
  return { [name]: settings };
}

/** Near 0, skewed, and both ends of the sliders, with parameters from the middle and the ends of theirs. */
const POINTS = [
  { theta: [0.4, -0.3, 0.1, 0.8, -0.6, 0.2, -0.2, 0.5], values: { tau: 1, draws: 1, eta: 1, beta: 0.5, lambda: 0.5 } },
  { theta: [-1.2, 1.5, 0.3, -0.4, 2, -2, 1.1, 0.6], values: { tau: 0.3, draws: 7, eta: 0.5, beta: 0.7, lambda: 0.25 } },
  { theta: [3, -3, 2.5, -2.5, 3, -3, 0, 1], values: { tau: 2.5, draws: 100, eta: 2, beta: -0.2, lambda: 1 } },
  { theta: [-0.5, 0.5, -3, 3, 0, 1, -1, 2], values: { tau: 0.1, draws: 2, eta: 0, beta: 1.2, lambda: 0 } },
];

/** Every estimator × form × loss × C at every point with three draws for each D, and once with all draws. */
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
