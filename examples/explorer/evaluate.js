// Mean, bias and covariance of an estimator. D is enumerated, so that its part has no sampling
// error. What is random given D is drawn `samples` times for each D. This is `certify` of the
// library, with the whole covariance.

/**
 * settings = { categories, loss, theta, estimator: { name: parameters }, samples }. The estimator
 * is written as in a run's config.json; `samples`, at least 2, may be left out.
 */
function evaluate(settings) {
  const { categories, theta } = settings;
  const loss = jointLoss(losses[settings.loss]);
  const [[name, parameters]] = Object.entries(settings.estimator);
  const estimator = estimators[name];
  const pi = softmax(theta);
  const codes = pi.map((_, hot) => [oneHot(hot, categories)]);
  const values = codes.map(loss.value);
  const g = codes.map(loss.gradient);
  loss.mean = dot(pi, values);
  const samples = estimator.drawn ? (settings.samples ?? constants.draws_given[categories]) : 1;

  const estimates = codes.map((_, hot) => {
    const outcomes = estimator.outcomes?.({ theta, pi, hot }, parameters);
    const weights = outcomes ?? Array(samples).fill(1 / samples);
    return weights.map((weight, i) => {
      if (weight === 0) return { weight, estimate: pi.map(() => 0) };
      const latent = { theta, pi, hot, other: i };
      if (estimator.drawn) {
        latent.gumbel = gumbelGiven(pi, hot, noiseRow(categories, hot, i, 0));
        latent.exponentials = (k) => noiseRow(categories, hot, i, k + 1);
      }
      const [estimate] = gradientsOf(estimator, [latent], loss, g[hot], parameters);
      return { weight, estimate };
    });
  });
  const slopes = g.map(([g]) => g);
  return { pi, values, g: slopes, exact: exactGradient(pi, values), ...moments(pi, estimates, samples), estimates };
}

/** Σ_D f(D) ∂π(D)/∂θ, eq. 2, with ∂π(D)/∂θ = π(D) (D − π) */
function exactGradient(pi, values) {
  const baseline = dot(pi, values); // Σ_D ∂π(D)/∂θ = 0, so a constant may be taken off
  return pi.map((_, i) => sum(values.map((f, j) => pi[j] * (f - baseline) * ((i === j ? 1 : 0) - pi[i]))));
}

/** weight · x xᵀ is added to `matrix`. */
function addOuter(matrix, weight, x) {
  matrix.forEach((row, i) => row.forEach((_, j) => (row[j] += weight * x[i] * x[j])));
}

/**
 * With m_D and V_D the mean and the covariance of the estimates given D, from n draws,
 *   mean         m = Σ_D π(D) m_D
 *   its own      Σ_D π(D)² V_D / n
 *   covariance   Σ_D π(D) (m_D − m)(m_D − m)ᵀ + (1 − 1/n) Σ_D π(D) V_D + that of m
 */
function moments(pi, estimates, n) {
  const given = estimates.map((draws) =>
    draws.reduce(
      (m, d) => add(m, scale(d.weight, d.estimate)),
      pi.map(() => 0),
    ),
  );
  const mean = given.reduce(
    (m, given, hot) => add(m, scale(pi[hot], given)),
    pi.map(() => 0),
  );
  const covariance = pi.map(() => pi.map(() => 0));
  const covariance_of_mean = pi.map(() => pi.map(() => 0));
  estimates.forEach((draws, hot) => {
    addOuter(covariance, pi[hot], subtract(given[hot], mean));
    const unbiased = n > 1 ? n / (n - 1) : 1; // a single draw is no sample: D, or an enumerated outcome, is all there is
    for (const { weight, estimate } of draws) {
      const off = subtract(estimate, given[hot]);
      addOuter(covariance, (n > 1 ? 1 - 1 / n : 1) * pi[hot] * weight * unbiased, off);
      if (n > 1) addOuter(covariance_of_mean, (pi[hot] ** 2 * weight * unbiased) / n, off);
    }
  });
  covariance.forEach((row, i) => row.forEach((_, j) => (row[j] += covariance_of_mean[i][j])));
  return { given, mean, covariance, variance: sum(covariance.map((row, i) => row[i])), covariance_of_mean };
}
