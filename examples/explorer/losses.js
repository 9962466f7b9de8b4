// The losses f of a point x of the simplex, with their derivatives. `constants` comes from the Rust
// side, which has the same functions on its tape.

/** f(x) = Σ_j w_j (x_j − c_j)^power: what is linear, quadratic or cubic in the sample. */
const polynomial = (power) => ({
  value: (x) => sum(x.map((x, j) => constants.weights[j] * (x - constants.centers[j]) ** power)),
  gradient: (x) => x.map((x, j) => constants.weights[j] * power * (x - constants.centers[j]) ** (power - 1)),
});

/** f(x) = −Σ_j |w_j| (x_j − c_j)²: every corner of the simplex is lower than the points near it. */
const concave = {
  value: (x) => -sum(x.map((x, j) => Math.abs(constants.weights[j]) * (x - constants.centers[j]) ** 2)),
  gradient: (x) => x.map((x, j) => -2 * Math.abs(constants.weights[j]) * (x - constants.centers[j])),
};

/** The decoder's hidden units σ(x W + a) and logits h V + b. */
function decode(x) {
  const { first, first_bias, second, second_bias } = constants.decoder;
  const hidden = first_bias.map((a, k) => sigmoid(a + sum(x.map((x, j) => x * first[j][k]))));
  const logits = second_bias.map((b, m) => b + sum(hidden.map((h, k) => h * second[k][m])));
  return { hidden, logits };
}

/** The binary cross-entropy, in nats, of a small network's pixels: Σ_m softplus(y_m) − t_m y_m. */
const decoder = {
  value(x) {
    const { target } = constants.decoder;
    return sum(decode(x).logits.map((y, m) => softplus(y) - target[m] * y));
  },
  gradient(x) {
    const { first, second, target } = constants.decoder;
    const { hidden, logits } = decode(x);
    const dlogits = logits.map((y, m) => sigmoid(y) - target[m]);
    const dhidden = hidden.map((h, k) => h * (1 - h) * dot(second[k], dlogits));
    return x.map((_, j) => dot(first[j], dhidden));
  },
};

const losses = {
  linear: {
    ...polynomial(1),
    title: 'Linear',
    formula: 'f(x) = Σ<sub>j</sub> w<sub>j</sub> (x<sub>j</sub> − c<sub>j</sub>)',
    note: 'Its derivative g is the same at every sample.',
  },
  quadratic: {
    ...polynomial(2),
    title: 'Quadratic',
    formula: 'f(x) = Σ<sub>j</sub> w<sub>j</sub> (x<sub>j</sub> − c<sub>j</sub>)²',
    note: 'g changes at a constant rate on the line from one category to another, so the trapezoid rule of ReinMax is exact.',
  },
  cubic: {
    ...polynomial(3),
    title: 'Cubic',
    formula: 'f(x) = Σ<sub>j</sub> w<sub>j</sub> (x<sub>j</sub> − c<sub>j</sub>)³',
    note: 'g bends on the line between two categories: its values at both ends are not enough, and ReinMax has a bias too.',
  },
  concave: {
    ...concave,
    title: 'Concave',
    formula: 'f(x) = −Σ<sub>j</sub> |w<sub>j</sub>| (x<sub>j</sub> − c<sub>j</sub>)²',
    note: 'Quadratic, and each corner is lower than the points around it: at every sample g favours that sample.',
  },
  decoder: {
    ...decoder,
    title: 'Small decoder',
    formula: 'f(x) = BCE(t, σ(V σ(W x + a) + b))',
    note: 'A network with 4 hidden units draws 6 pixels from the sample; f is their cross-entropy in nats, as in a VAE.',
  },
};

/**
 * What each of L variables weighs in the point that the loss sees: L, L − 1, …, 1 over their sum.
 */
const variableWeights = (latents) =>
  Array.from({ length: latents }, (_, l) => (2 * (latents - l)) / (latents * (latents + 1)));

/**
 * The loss of several variables: f of the weighted mean of their points, x = Σ_l a_l x^l. For one
 * variable it is f.
 */
function jointLoss(loss) {
  const mixed = (points) => {
    const weights = variableWeights(points.length);
    return points[0].map((_, j) => sum(points.map((point, l) => weights[l] * point[j])));
  };
  return {
    value: (points) => loss.value(mixed(points)),
    gradient(points) {
      const g = loss.gradient(mixed(points));
      return variableWeights(points.length).map((weight) => scale(weight, g));
    },
  };
}
