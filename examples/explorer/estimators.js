// The estimators that hook onto the sample: what reaches θ when the sample is D and the derivative
// of the loss there is g = ∂f/∂D.
//
//   vjp(latent, g, settings)
//
// latent = { theta, pi, hot, gumbel, exponentials }: θ, π = softmax(θ), the index of D, the noise G
// that drew D, and a function that gives row k of the exponential numbers for draws given D; `rows`
// is how many of them are needed. `drawn` says that something is random once D is known. Names and
// equation numbers are the library's, where each has a file in src/estimators/formulas.

/** GR_{τ,K}(log π; D) = (1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g, eq. 6 and 7 */
function gumbelRao(pi, { hot, exponentials }, g, { tau, draws }) {
  let total = g.map(() => 0);
  for (let k = 0; k < draws; k++) {
    total = add(total, softmaxVjp(relaxedGivenHot(pi, hot, exponentials(k), tau), g));
  }
  return scale(1 / (draws * tau), total);
}

/** 2 J((π_τ + I_hot)/2) g − ½ J(π) g, eq. 12 */
function reinmax({ theta, pi }, hot, g, { tau }) {
  const first = softmaxVjp(midpoint(softmax(theta, tau), hot), g);
  return subtract(scale(2, first), scale(0.5, softmaxVjp(pi, g)));
}

/** 2 GR_{τ,K}(θ_D; D) − ½ J(π) g, θ_D = log p, eq. 17 */
function reinmaxRao(latent, g, settings) {
  const rao = gumbelRao(midpoint(latent.pi, latent.hot), latent, g, settings);
  return subtract(scale(2, rao), scale(0.5, softmaxVjp(latent.pi, g)));
}

const estimators = {
  st: {
    title: 'Straight-Through',
    source: 'eq. 3',
    formula: '(1/τ) J(π<sub>τ</sub>) g',
    note: 'Backward as if the sample were softmax(θ/τ): the slope at one end of the line between two categories stands for the whole line.',
    parameters: ['tau'],
    vjp: ({ theta }, g, { tau }) => scale(1 / tau, softmaxVjp(softmax(theta, tau), g)),
  },
  stgs: {
    title: 'Straight-Through Gumbel-Softmax',
    source: 'eq. 5',
    formula: '(1/τ) J(softmax((θ+G)/τ)) g',
    note: 'Backward through the relaxed sample with the noise G that drew D. A small τ gives less bias and more variance.',
    parameters: ['tau'],
    drawn: true,
    rows: () => 0,
    vjp({ theta, gumbel }, g, { tau }) {
      return scale(1 / tau, softmaxVjp(softmax(add(theta, gumbel), tau), g));
    },
  },
  'gumbel-rao': {
    title: 'Gumbel-Rao',
    source: 'eq. 6, 7',
    formula: '(1/(Kτ)) Σ<sub>k</sub> J(softmax(Y<sub>k</sub>/τ)) g,&ensp;Y<sub>k</sub> ~ θ+G given D',
    note: 'The mean over K relaxed samples that all give the same D. Its bias is that of Straight-Through Gumbel-Softmax, its variance is less.',
    parameters: ['tau', 'draws'],
    drawn: true,
    rows: ({ draws }) => draws,
    vjp: (latent, g, settings) => gumbelRao(latent.pi, latent, g, settings),
  },
  gst: {
    title: 'Gapped Straight-Through',
    source: 'Fan et al. (2022)',
    formula: '(1/τ) J(softmax(θ′/τ)) g,&ensp;θ′ = θ with D raised to the top and the others at least a gap below',
    note: 'Needs no noise: the logit of the sample is moved to the top instead.',
    parameters: ['tau'],
    forms: [
      { title: 'a fixed gap (GST-1.0 has 1)', parameters: ['gap'] },
      { title: 'gap −log(1−π_D)/π_D (GST-p)', gap: 'probability' },
    ],
    vjp({ theta, pi, hot }, g, { tau, gap }) {
      const top = Math.max(...theta);
      const width = gap === 'probability' ? -Math.log1p(-pi[hot]) / pi[hot] : gap.fixed;
      const moved = theta.map((theta, j) => (j === hot ? top : theta - Math.max(theta - top + width, 0)));
      return scale(1 / tau, softmaxVjp(softmax(moved, tau), g));
    },
  },
  reinmax: {
    title: 'ReinMax',
    source: 'eq. 12',
    formula: '2 J((π<sub>τ</sub>+D)/2) g − ½ J(π) g',
    note: 'The slopes at both ends of the line, by the trapezoid rule. At τ = 1 it has no bias where f is quadratic.',
    parameters: ['tau'],
    vjp: (latent, g, settings) => reinmax(latent, latent.hot, g, settings),
  },
  'reinmax-argmax': {
    title: 'ReinMax-Argmax',
    source: 'table 1',
    formula: '2 J((π<sub>τ</sub>+onehot(argmax θ))/2) g − ½ J(π) g',
    note: 'ReinMax with the most probable category in place of D. It shows where the variance of ReinMax comes from and is not for training.',
    parameters: ['tau'],
    vjp: (latent, g, settings) => reinmax(latent, argmax(latent.theta), g, settings),
  },
  'reinmax-rk2': {
    title: 'ReinMax-RK2',
    source: 'eq. 27',
    formula: '2 [p ⊙ g − ⟨βπ+(1−β)D, g⟩ p] − β J(π) g',
    note: 'β is the weight of the far end of the line: ½ is ReinMax. The forms differ in how they make the row sum to 0.',
    parameters: ['beta'],
    forms: [
      { title: 'projected: its mean is eq. 26', form: 'projected' },
      { title: 'eq. 27 as printed', form: 'eq27' },
      { title: 'the published code', form: 'author-code' },
    ],
    vjp({ pi, hot }, g, { form, beta }) {
      const p = midpoint(pi, hot);
      const mean = beta * dot(pi, g) + (1 - beta) * g[hot]; // ⟨βπ + (1 − β)D, g⟩
      const last = form === 'author-code' ? 1 - beta : beta;
      const e = subtract(
        scale(
          2,
          p.map((p, j) => p * (g[j] - mean)),
        ),
        scale(last, softmaxVjp(pi, g)),
      );
      if (form === 'eq27') return e;
      const total = sum(e);
      return form === 'projected' ? subtract(e, scale(total, pi)) : e.map((e) => e - total / pi.length);
    },
  },
  'reinmax-rao': {
    title: 'ReinMax-Rao',
    source: 'eq. 17',
    formula: '2 GR<sub>τ,K</sub>(log p; D) − ½ J(π) g',
    note: 'ReinMax with Gumbel-Rao in place of its first term: more bias than ReinMax, less variance.',
    parameters: ['tau', 'draws'],
    drawn: true,
    rows: ({ draws }) => draws,
    vjp: reinmaxRao,
  },
  'reinmax-cv': {
    title: 'ReinMax-CV',
    source: 'eq. 18',
    formula: '2 [J(p) g − η S + η GR<sub>τ,K</sub>(log p; D)] − ½ J(π) g',
    note: 'ReinMax and η times a control variate. Given D ReinMax has no noise, so a control variate reduces the variance only by moving the mean.',
    parameters: ['tau', 'draws', 'eta'],
    forms: [
      { title: 'coupled: S drawn given D', form: 'coupled' },
      { title: 'shared: S from the noise of D', form: 'shared' },
      { title: 'eq. 18 as printed', form: 'printed' },
      { title: 'the published code', form: 'author-code' },
    ],
    drawn: true,
    rows: ({ draws }) => draws + 1,
    vjp(latent, g, settings) {
      const { theta, pi, hot, gumbel, exponentials } = latent;
      const { form, tau, draws, eta } = settings;
      const p = midpoint(pi, hot);
      const logP = p.map(Math.log); // the library works in log space, for logits far beyond this page's
      // The coefficient of J(p) g, and that of the control variate over η.
      const [outer, inner] = { coupled: [2, 2], shared: [2, 2], printed: [1, 1], 'author-code': [2, 1] }[form];
      const s = {
        shared: () => softmax(add(logP, gumbel), tau),
        printed: () => softmax(add(logP, gumbel), tau),
        coupled: () => relaxedGivenHot(p, hot, exponentials(draws), tau), // one draw more
        'author-code': () => softmax(add(logP, softmax(add(theta, gumbel), tau))),
      }[form]();
      const variate = subtract(gumbelRao(p, latent, g, settings), scale(1 / tau, softmaxVjp(s, g)));
      const estimate = add(scale(outer, softmaxVjp(p, g)), scale(inner * eta, variate));
      return subtract(estimate, scale(0.5, softmaxVjp(pi, g)));
    },
  },
  'reinmax-blend': {
    title: 'Blend of ReinMax and ReinMax-Rao',
    source: 'eq. 12, 17',
    formula: 'λ ReinMax + (1−λ) ReinMax-Rao',
    note: 'Its mean, and so its bias, is the same blend of the two.',
    parameters: ['tau', 'draws', 'lambda'],
    drawn: true,
    rows: ({ draws }) => draws,
    vjp(latent, g, settings) {
      const { lambda } = settings;
      const blended = scale(1 - lambda, reinmaxRao(latent, g, { ...settings, tau: settings.rao_tau }));
      return add(scale(lambda, reinmax(latent, latent.hot, g, settings)), blended);
    },
  },
  darn: {
    title: 'DARN',
    source: 'Gregor et al. (2014)',
    formula: '(g<sub>D</sub> − ⟨π, g⟩)(D − π)',
    note: 'REINFORCE with f replaced by its first-order part. Its bias is opposite to that of Straight-Through for a quadratic f.',
    parameters: [],
    vjp: ({ pi, hot }, g) => scale(g[hot] - dot(pi, g), subtract(oneHot(hot, pi.length), pi)),
  },
  mve: {
    title: 'MVE',
    source: 'AISTATS 2026',
    formula: 'J(π)(r ⊙ A<sup>−1</sup>a + λ w<sub>D</sub> D)',
    note: 'The least variance in a class that holds Straight-Through (λ = 0). Its bias falls as 1/λ where f is quadratic.',
    parameters: ['order'],
    vjp: (latent, g, { lambda }) => mve(latent, g, Number(lambda === 'inf' ? Infinity : lambda)),
  },
  zgr: {
    title: 'ZGR',
    source: 'Shekhovtsov (2023)',
    formula: '½ (ST + DARN)',
    note: 'The limit of Gumbel-Rao as τ goes to 0, which is ReinMax at τ = 1.',
    parameters: [],
    vjp({ pi, hot }, g) {
      const darn = scale(g[hot] - dot(pi, g), subtract(oneHot(hot, pi.length), pi));
      return scale(0.5, add(softmaxVjp(pi, g), darn));
    },
  },
};
