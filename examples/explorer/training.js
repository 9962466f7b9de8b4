// Training of the logits of L variables, by plain gradient descent or Adam, with an estimator or
// with the exact gradient. A step is a generator, so that the page can stop in the midst of a batch
// when a frame's time is used up.

const ADAM = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** All codes of L variables, as lists of categories; variable 0 runs fastest. */
function codesOfVariables(latents, categories) {
  const count = categories ** latents;
  const digits = (code) => Array.from({ length: latents }, (_, l) => Math.floor(code / categories ** l) % categories);
  return Array.from({ length: count }, (_, code) => digits(code));
}

/** E f(D) and its exact gradient for each variable: Σ_D π(D) (f(D) − E f)(D − π). */
function exactOf(pis, codes, values) {
  const probabilities = codes.map((code) => code.reduce((product, hot, l) => product * pis[l][hot], 1));
  const mean = dot(probabilities, values);
  const gradient = pis.map((pi) => pi.map(() => 0));
  codes.forEach((code, k) => {
    const weight = probabilities[k] * (values[k] - mean);
    code.forEach((hot, l) => {
      const to = gradient[l];
      for (let j = 0; j < to.length; j++) to[j] += weight * ((j === hot ? 1 : 0) - pis[l][j]);
    });
  });
  return { mean, gradient };
}

/**
 * The start of a run. settings = { loss, theta, estimator, optimizer, rate, batch, seed }, theta a
 * list of L logits vectors, estimator as in a run's config.json, or null for the exact gradient.
 */
function startRun(settings) {
  const { theta } = settings;
  const codes = codesOfVariables(theta.length, theta[0].length);
  const loss = jointLoss(losses[settings.loss]);
  const values = codes.map((code) => loss.value(code.map((hot) => oneHot(hot, theta[0].length))));
  const zeros = () => theta.map((theta) => theta.map(() => 0));
  const run = {
    settings,
    codes,
    values,
    loss,
    step: 0,
    theta: theta.map((theta) => [...theta]),
    moments: { m: zeros(), v: zeros() },
    gumbelStream: streamOf(settings.seed, 0), // one for all estimators, so that they see the same noise
    givenStream: streamOf(settings.seed, 1),
  };
  Object.assign(
    run,
    exactOf(
      run.theta.map((theta) => softmax(theta)),
      codes,
      values,
    ),
  );
  return run;
}

const exponentialsOf = (next, count) => Array.from({ length: count }, () => -Math.log(uniform(next)));

/** A category with these probabilities. */
function categoryOf(next, probabilities) {
  const u = uniform(next);
  let total = 0;
  for (let j = 0; j < probabilities.length; j++) {
    total += probabilities[j];
    if (u < total) return j;
  }
  return probabilities.findLastIndex((p) => p > 0); // a sum that rounding left below u
}

/** One draw of all variables, with the noise that its estimator needs. */
function drawLatents(run, estimator, parameters, pis) {
  return run.theta.map((theta, l) => {
    const [pi, categories] = [pis[l], theta.length];
    const gumbel = exponentialsOf(run.gumbelStream, categories).map((e) => -Math.log(e));
    const latent = { theta, pi, gumbel, hot: argmax(add(theta, gumbel)) };
    const outcomes = estimator.outcomes?.(latent, parameters);
    if (outcomes) latent.other = categoryOf(run.givenStream, outcomes);
    const rows = estimator.rows?.(parameters) ?? 0;
    const given = Array.from({ length: rows }, () => exponentialsOf(run.givenStream, categories));
    latent.exponentials = (k) => given[k];
    return latent;
  });
}

/** The mean of the batch's gradients. Yields after each draw. */
function* batchGradient(run) {
  const { batch, estimator } = run.settings;
  if (estimator === null) return run.gradient;
  const [[name, parameters]] = Object.entries(estimator);
  const used = estimators[name];
  const loss = { ...run.loss, mean: run.mean };
  const pis = run.theta.map((theta) => softmax(theta));
  const total = run.theta.map((theta) => theta.map(() => 0));
  for (let row = 0; row < batch; row++) {
    const latents = drawLatents(run, used, parameters, pis);
    const g = used.needsLoss ? null : loss.gradient(codesOf(latents));
    gradientsOf(used, latents, loss, g, parameters).forEach((x, l) => x.forEach((x, j) => (total[l][j] += x / batch)));
    yield;
  }
  return total;
}

/** One step of the optimiser. Yields after each draw of the batch. */
function* stepOf(run) {
  const gradient = yield* batchGradient(run);
  const { optimizer, rate } = run.settings;
  run.step += 1;
  run.theta.forEach((theta, l) => {
    for (let j = 0; j < theta.length; j++) {
      const change = optimizer === 'adam' ? adamChange(run, l, j, gradient[l][j]) : gradient[l][j];
      theta[j] -= rate * change;
    }
  });
  Object.assign(
    run,
    exactOf(
      run.theta.map((theta) => softmax(theta)),
      run.codes,
      run.values,
    ),
  );
}

/** m / (1 − β₁ᵗ) / (√v / √(1 − β₂ᵗ) + eps), after the moments have taken in g. */
function adamChange({ moments: { m, v }, step }, l, j, g) {
  const { beta1, beta2, eps } = ADAM;
  m[l][j] += (1 - beta1) * (g - m[l][j]);
  v[l][j] = beta2 * v[l][j] + (1 - beta2) * g * g;
  return m[l][j] / (1 - beta1 ** step) / (Math.sqrt(v[l][j]) / Math.sqrt(1 - beta2 ** step) + eps);
}

/** A whole run at once: θ and E f after each step in `report`, in ascending order. For tests. */
function train(settings, report) {
  const run = startRun(settings);
  return report.map((step) => {
    while (run.step < step) for (const _ of stepOf(run));
    return { theta: run.theta.map((theta) => [...theta]), mean: run.mean };
  });
}
