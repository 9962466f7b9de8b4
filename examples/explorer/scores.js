// The estimators that need the loss itself and not only its derivative at one sample. They see all
// latent variables at once:
//
//   atLoss(latents, loss, settings) → the gradient of each variable's θ
//
// loss = { value, gradient, mean }: f of a list of points, one for each variable; its derivatives
// there; E f(D). `outcomes(latent, settings)` are the probabilities, given D, of the category of a
// second draw, which is latent.other.

const codesOf = (latents, which = 'hot') => latents.map((latent) => oneHot(latent[which], latent.pi.length));
/** D − π of each variable. */
const scoresOf = (latents, codes) => latents.map(({ pi }, l) => subtract(codes[l], pi));
/** weight · x for each variable. */
const scaleAll = (weight, xs) => xs.map((x) => scale(weight, x));
const subtractAll = (xs, ys) => xs.map((x, l) => subtract(x, ys[l]));

/** The k likeliest categories, the first of equal ones. */
function likeliest(theta, k) {
  return theta
    .map((_, j) => j)
    .sort((a, b) => theta[b] - theta[a])
    .slice(0, k);
}

Object.assign(estimators, {
  'gumbel-softmax': {
    title: 'Gumbel-softmax, plain relaxation',
    source: 'Jang et al. (2017)',
    formula: '(1/τ) J(s) ∂f/∂s,&ensp;s = softmax((θ+G)/τ)',
    note: 'The loss sees the relaxed s and not D. Exact on average for that other problem; what is called bias here is how much the two problems differ.',
    parameters: ['tau'],
    drawn: true,
    rows: () => 0,
    needsLoss: true,
    atLoss(latents, loss, { tau }) {
      const s = latents.map(({ theta, gumbel }) => softmax(add(theta, gumbel), tau));
      return loss.gradient(s).map((g, l) => scale(1 / tau, softmaxVjp(s[l], g)));
    },
  },
  reinforce: {
    title: 'REINFORCE',
    source: 'section 2.5',
    formula: '(f(D) − b) (D − π)',
    note: 'No derivative of f is used. No bias for any baseline b that does not depend on D; b reduces the variance.',
    parameters: [],
    forms: [
      { title: 'no baseline: b = 0', baseline: 'none' },
      { title: 'b = E f, where a running mean settles', baseline: 'running-mean' },
      { title: 'b = f of a second sample, both averaged', baseline: { 'leave-one-out': { samples: 2 } } },
    ],
    needsLoss: true,
    /**
     * Leave-one-out has the second sample D′ in it; each D′ is one outcome, with its probability.
     */
    outcomes: ({ pi }, { baseline }) => (typeof baseline === 'object' ? pi : null),
    atLoss(latents, loss, { baseline }) {
      const codes = codesOf(latents);
      const [f, scores] = [loss.value(codes), scoresOf(latents, codes)];
      if (baseline === 'none') return scaleAll(f, scores);
      if (baseline === 'running-mean') return scaleAll(f - loss.mean, scores);
      const second = codesOf(latents, 'other');
      const both = subtractAll(scores, scoresOf(latents, second));
      return scaleAll(0.5 * (f - loss.value(second)), both);
    },
  },
  rebar: {
    title: 'REBAR',
    source: 'eq. 15',
    formula: '[f(D) − η f(s(Y))] (D − π) + η ∇<sub>θ</sub> f(s(θ+G)) − η ∇<sub>θ</sub> f(s(Y)),&ensp;s = softmax(·/τ)',
    note: 'REINFORCE less a relaxed control variate whose mean is known: no bias for any τ and η. Three passes of f.',
    parameters: ['tau', 'eta'],
    drawn: true,
    rows: () => 1,
    needsLoss: true,
    atLoss(latents, loss, { tau, eta }) {
      const free = latents.map(({ theta, gumbel }) => softmax(add(theta, gumbel), tau)); // s(θ+G)
      const tied = latents.map(({ pi, hot, exponentials }) => relaxedGivenHot(pi, hot, exponentials(0), tau)); // s(Y)
      const [gFree, gTied] = [loss.gradient(free), loss.gradient(tied)];
      const codes = codesOf(latents);
      const weight = loss.value(codes) - eta * loss.value(tied);
      return scoresOf(latents, codes).map((score, l) => {
        const { pi, hot, exponentials } = latents[l];
        const e = exponentials(0);
        const dfree = scale(1 / tau, softmaxVjp(free[l], gFree[l]));
        const dy = scale(1 / tau, softmaxVjp(tied[l], gTied[l]));
        // ∂Y_j/∂log π_j = (E_j/π_j) / (E_j/π_j + E_D) with the noise held fixed; Y_D does not
        // depend on θ.
        const slope = pi.map((pi, j) => (j === hot ? 0 : e[j] / (e[j] + pi * e[hot])));
        const dlogPi = multiply(slope, dy);
        const dtied = subtract(dlogPi, scale(sum(dlogPi), pi));
        return add(scale(weight, score), scale(eta, subtract(dfree, dtied)));
      });
    },
  },
  'double-control-variate': {
    title: 'Double control variate',
    source: 'Titsias and Shi (2022)',
    formula:
      '½ (t<sub>1</sub> − t<sub>2</sub>)(D<sub>1</sub> − D<sub>2</sub>) − α J(π) ½(g<sub>1</sub> + g<sub>2</sub>),&ensp;t<sub>k</sub> = f<sub>k</sub> + α⟨g<sub>other</sub>, D<sub>k</sub> − π⟩',
    note: 'Two samples. No bias for any α; α = 0 is leave-one-out, and at α = −1 a linear f has no variance.',
    parameters: ['alpha'],
    needsLoss: true,
    outcomes: ({ pi }) => pi,
    atLoss(latents, loss, { alpha }) {
      const weight = alpha.fixed;
      const codes = [codesOf(latents), codesOf(latents, 'other')];
      const g = codes.map(loss.gradient);
      const scores = codes.map((codes) => scoresOf(latents, codes));
      const t = codes.map((codes, k) => {
        const inner = sum(scores[k].map((score, l) => dot(g[1 - k][l], score)));
        return loss.value(codes) + weight * inner;
      });
      return latents.map(({ pi }, l) => {
        const score = scale(0.5 * (t[0] - t[1]), subtract(scores[0][l], scores[1][l]));
        return subtract(score, scale(0.5 * weight, softmaxVjp(pi, add(g[0][l], g[1][l]))));
      });
    },
  },
  'pair-without-replacement': {
    title: 'Pair without replacement',
    source: 'Kool et al. (2020)',
    formula:
      '(f<sub>i</sub> − f<sub>j</sub>)(e<sub>i</sub> − e<sub>j</sub>) / [1/(1−π<sub>i</sub>) + 1/(1−π<sub>j</sub>)],&ensp;i, j the two largest θ+G',
    note: 'Two different categories for each choice. No bias. For a single variable.',
    parameters: [],
    oneChoice: true,
    needsLoss: true,
    outcomes: ({ pi, hot }) => pi.map((p, j) => (j === hot ? 0 : p / sum(pi.filter((_, i) => i !== hot)))),
    atLoss([latent], loss) {
      const { pi, hot, other } = latent;
      const [i, j] = [hot, other].map((j) => oneHot(j, pi.length));
      const without = (hot) => sum(pi.filter((_, j) => j !== hot)); // 1 − π
      const weight = (loss.value([i]) - loss.value([j])) / (1 / without(hot) + 1 / without(other));
      return [scale(weight, subtract(i, j))];
    },
  },
  'sum-and-sample': {
    title: 'Sum and sample',
    source: 'Liu et al. (2019)',
    formula:
      'Σ<sub>i∈S</sub> π<sub>i</sub> f<sub>i</sub> (e<sub>i</sub> − π) + (1 − π<sub>S</sub>) f<sub>x</sub> (e<sub>x</sub> − π),&ensp;x ~ π outside S',
    note: 'S has the k likeliest categories, which are summed; one of the others is drawn. No bias. For a single variable.',
    parameters: ['k'],
    oneChoice: true,
    needsLoss: true,
    /** x is D itself unless D lies in S. */
    outcomes({ theta, pi, hot }, { k }) {
      const summed = likeliest(theta, k);
      if (k >= pi.length || !summed.includes(hot)) return oneHot(hot, pi.length);
      const outside = pi.map((p, j) => (summed.includes(j) ? 0 : p));
      return scale(1 / sum(outside), outside);
    },
    atLoss([{ theta, pi, other }], loss, { k }) {
      const summed = likeliest(theta, k);
      const rest = sum(pi.filter((_, j) => !summed.includes(j))); // 1 − π_S
      const drawn = summed.includes(other) ? [] : [[other, rest]];
      const terms = [...summed.map((i) => [i, pi[i]]), ...drawn].map(([i, weight]) => {
        const code = oneHot(i, pi.length);
        return scale(weight * loss.value([code]), subtract(code, pi));
      });
      return [terms.reduce(add)];
    },
  },
  'local-expectation': {
    title: 'Local expectation',
    source: 'Titsias and Lázaro-Gredilla (2015)',
    formula: 'J(π<sup>l</sup>) F<sup>l</sup>,&ensp;F<sup>l</sup><sub>i</sub> = f(D with D<sup>l</sup> = e<sub>i</sub>)',
    note: 'Sums over one variable with the others as drawn, L (C − 1) + 1 passes of f. For a single variable that is the exact gradient.',
    parameters: [],
    needsLoss: true,
    atLoss(latents, loss) {
      const codes = codesOf(latents);
      return latents.map(({ pi }, l) => {
        const values = pi.map((_, i) => loss.value(codes.with(l, oneHot(i, pi.length))));
        return softmaxVjp(pi, values);
      });
    },
  },
});

/** The gradient of each variable's θ. `g` is ∂f/∂D of each variable, at the sample. */
function gradientsOf(estimator, latents, loss, g, settings) {
  if (estimator.needsLoss) return estimator.atLoss(latents, loss, settings);
  return latents.map((latent, l) => estimator.vjp(latent, g[l], settings));
}
