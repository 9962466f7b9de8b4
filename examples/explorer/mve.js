// MVE(λ): the estimator of least variance in its class. It solves a small symmetric system for each
// variable.

/**
 * u with (diag(m) + Σ_{i<j} c_ij (e_i − e_j)(e_i − e_j)ᵀ) u = y, for masses m ≥ 0 and conductances
 * c ≥ 0. The elimination adds and never subtracts, so that it keeps the digits for every λ. `total`
 * is Σ y, which the caller knows without cancellation.
 */
function solveLaplacian(c, m, y, total) {
  const n = y.length;
  [c, m, y] = [c.map((row) => [...row]), [...m], [...y]];
  const pivots = [];
  for (let k = 0; k < n - 1; k++) {
    pivots[k] = m[k] + sum(c[k].slice(k + 1));
    total -= y[k] * (m[k] / pivots[k]);
    for (let i = k + 1; i < n; i++) {
      const part = c[k][i] / pivots[k];
      m[i] += part * m[k];
      y[i] += part * y[k];
      for (let j = i + 1; j < n; j++) c[i][j] += part * c[k][j];
    }
  }
  y[n - 1] = total / m[n - 1];
  for (let k = n - 2; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) y[k] += c[k][j] * y[j];
    // y[k] was the right-hand side when node k was eliminated.
    y[k] = y[k] / pivots[k];
  }
  return y;
}

/** The vector with entries i and j exchanged. */
function exchanged(x, i, j) {
  const y = [...x];
  [y[i], y[j]] = [y[j], y[i]];
  return y;
}

/** MVE(λ) at the sample `hot`; λ may be infinite. */
function mve(latent, gradient, lambda) {
  const last = latent.pi.length - 1;
  const top = argmax(latent.pi); // the likeliest category is eliminated last
  const place = (j) => (j === top ? last : j === last ? top : j);
  const [pi, g, hot] = [exchanged(latent.pi, top, last), exchanged(gradient, top, last), place(latent.hot)];
  const of = Number.isFinite(lambda) ? mveFinite : mveLimit;
  return exchanged(of(pi, hot, g, lambda), top, last);
}

/**
 * J(π)(r ⊙ u + λ w_D D),   A u = a = w ⊙ (1 + λπ) − λ⟨w, π⟩ D,   w_i = g_i / d_iD,
 * d_ij = 1 + λ(π_i + π_j),   r_i = (1 + λπ_i)/(1 + 2λπ_i);
 * A has conductances λ π_i π_j / d_ij and row sums Σ_j π_j / d_ij
 */
function mveFinite(pi, hot, g, lambda) {
  const d = pi.map((p) => pi.map((q) => 1 + lambda * (p + q)));
  const w = g.map((g, i) => g / d[i][hot]);
  const a = w.map((w, i) => w * (1 + lambda * pi[i]));
  a[hot] -= lambda * dot(w, pi);
  const conductances = pi.map((p, i) => pi.map((q, j) => (i === j ? 0 : (lambda * p * q) / d[i][j])));
  const masses = pi.map((_, i) => sum(pi.map((q, j) => q / d[i][j])));
  const u = solveLaplacian(conductances, masses, a, sum(w));
  const x = u.map((u, i) => ((1 + lambda * pi[i]) / (1 + 2 * lambda * pi[i])) * u);
  x[hot] += lambda * w[hot];
  return softmaxVjp(pi, x);
}

/**
 * ½ J(π) u + ½ g_D (D − π),   (diag(W1) − W) u = b,   W_ij = π_i π_j/(π_i + π_j),
 * b_i = π_i g_i/(π_i + π_D),   Σ b = 0
 */
function mveLimit(pi, hot, g) {
  const b = pi.map((p, i) => (i === hot ? 0 : (p * g[i]) / (p + pi[hot])));
  b[hot] = -sum(b);
  const conductances = pi.map((p, i) => pi.map((q, j) => (i === j ? 0 : (p * q) / (p + q))));
  const u = solveLaplacian(
    conductances,
    pi.map((_, i) => (i === pi.length - 1 ? 1 : 0)), // u is known up to a constant, which J(π) takes off
    b,
    0,
  );
  return add(scale(0.5, softmaxVjp(pi, u)), scale(0.5 * g[hot], subtract(oneHot(hot, pi.length), pi)));
}
