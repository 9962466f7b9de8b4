// The few vector functions from which every estimator is built. Vectors are plain arrays of C
// numbers, in f64.

const dot = (a, b) => a.reduce((sum, a, i) => sum + a * b[i], 0);
const add = (a, b) => a.map((a, i) => a + b[i]);
const subtract = (a, b) => a.map((a, i) => a - b[i]);
const scale = (weight, x) => x.map((x) => weight * x);
const multiply = (a, b) => a.map((a, i) => a * b[i]);
const sum = (x) => x.reduce((sum, x) => sum + x, 0);
const oneHot = (hot, categories) => Array.from({ length: categories }, (_, j) => (j === hot ? 1 : 0));
const argmax = (x) => x.reduce((best, x_j, j) => (x_j > x[best] ? j : best), 0);
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** softmax(x/τ). The largest x is subtracted first: no overflow. */
function softmax(x, tau = 1) {
  const top = Math.max(...x);
  const y = x.map((x) => Math.exp((x - top) / tau));
  return scale(1 / sum(y), y);
}

/** J(q) g = q ⊙ (g − ⟨q, g⟩): the softmax's vector-Jacobian product at a point q of the simplex. */
function softmaxVjp(q, g) {
  const mean = dot(q, g);
  return q.map((q, j) => q * (g[j] - mean));
}

/** p = (π + D)/2, the midpoint between π and the sample. */
function midpoint(pi, hot) {
  return pi.map((pi, j) => (pi + (j === hot ? 1 : 0)) / 2);
}

/**
 * Gumbel noise G given that argmax(θ + G) = D, eq. 7 less θ, from standard exponential numbers E:
 * G_D = −log E_D − log π_D,   G_j = −log(E_j + π_j E_D)
 */
function gumbelGiven(pi, hot, e) {
  return pi.map((pi, j) => (j === hot ? -Math.log(e[hot]) - Math.log(pi) : -Math.log(e[j] + pi * e[hot])));
}

/**
 * softmax(Y/τ) for Y ~ θ + G given D, eq. 7 with Z = 1. Relative to the hot category, whose Y is
 * −log E_D, exp((Y_j − Y_D)/τ) = (1 + E_j / (π_j E_D))^(−1/τ) ≤ 1.
 */
function relaxedGivenHot(pi, hot, e, tau) {
  const y = pi.map((pi, j) => (j === hot ? 1 : Math.pow(1 + e[j] / (pi * e[hot]), -1 / tau)));
  return scale(1 / sum(y), y);
}
