// The panel of the Gumbel-max trick: bars θ + G, the largest, and how often each category has been
// drawn.

let gumbelRun = null;

/** What the draws depend on. A masked category has the logit −∞, which is null in JSON. */
const gumbelSettings = () => ({
  theta: state.theta.slice(0, state.categories).map((theta, j) => (state.gumbel.masked[j] ? null : theta)),
  seed: state.gumbel.seed,
});

/** Draws so far: `counts` of each category, and G and the category of the last. */
function startGumbel({ theta, seed }) {
  const logits = theta.map((theta) => theta ?? -Infinity);
  return {
    logits,
    pi: softmax(logits),
    next: streamOf(seed, 2),
    counts: logits.map(() => 0),
    draws: 0,
    gumbel: null,
    hot: null,
  };
}

function drawGumbel(run) {
  run.gumbel = run.logits.map(() => -Math.log(-Math.log(uniform(run.next))));
  run.hot = argmax(add(run.logits, run.gumbel));
  run.counts[run.hot] += 1;
  run.draws += 1;
}

function buildGumbel() {
  const boxes = state.theta.slice(0, state.categories).map((_, j) => ({
    id: `mask-${j + 1}`,
    text: String(j + 1),
    checked: state.gumbel.masked[j],
    change: (input) => {
      state.gumbel.masked[j] = input.checked;
      update();
    },
  }));
  const help = 'A masked category has the logit −∞: it is never drawn, and its π is 0.';
  const masks = choices('checkbox', 'Masked categories', boxes, help);
  const seeds = { values: Array.from({ length: 20 }, (_, k) => k + 1), help: 'Of the Gumbel noise.' };
  get('gumbel-controls').replaceChildren(
    masks,
    slider('gumbel-seed', 'Seed', seeds, state.gumbel.seed, (seed) => (state.gumbel.seed = seed)),
  );
}

function renderGumbel() {
  const { masked } = state.gumbel;
  const free = masked.slice(0, state.categories).filter((masked) => !masked).length;
  for (let j = 0; j < state.categories; j++) {
    const box = get(`mask-${j + 1}`);
    box.disabled = !masked[j] && free === 1; // one category must be left
  }
  const settings = gumbelSettings();
  const key = JSON.stringify(settings);
  if (gumbelRun?.key !== key) {
    gumbelRun = { key, ...startGumbel(settings) };
    drawGumbel(gumbelRun);
  }
  showGumbel();
}

function drawMany(count) {
  for (let k = 0; k < count; k++) drawGumbel(gumbelRun);
  showGumbel();
}

const playGumbel = player('gumbel-play', () => state.gumbel, () => drawMany(gumbelRun.draws < 100 ? 1 : 20));

function showGumbel() {
  const { logits, pi, gumbel, hot, counts, draws } = gumbelRun;
  get('gumbel-bars').replaceChildren(gumbelBars(gumbelRun));
  get('gumbel-histogram').replaceChildren(histogram(gumbelRun));
  const names = logits.map((_, j) => String(j + 1));
  const row = (heading, name, values) => [
    heading,
    values.map((x, j) => (Number.isFinite(x) ? number('td', `gumbel.${name}.${j}`, x) : html('td', {}, '−∞'))),
  ];
  const shares = counts.map((count) => count / draws);
  const rows = [
    row('θ', 'theta', logits),
    row('G', 'noise', gumbel),
    row('θ + G', 'score', add(logits, gumbel)),
    row('share of the draws', 'share', shares),
    row('π', 'pi', pi),
  ];
  const caption = `Draw ${draws}: D = ${hot + 1}`;
  get('gumbel-table').replaceChildren(table(caption, ['category', ...names], rows));
}

/** θ as a mark, G as a bar from it, θ + G as its end; the largest end is the sample. */
function gumbelBars({ logits, gumbel, hot, draws }) {
  const scores = add(logits, gumbel);
  const finite = [...logits, ...scores].filter(Number.isFinite);
  const range = [Math.min(-3, ...finite) - 0.3, Math.max(5, ...finite) + 0.9];
  const { svg, at, box } = chart({
    x: { range: [0.4, logits.length + 0.6], name: 'category', ticks: logits.map((_, j) => j + 1) },
    y: { range, name: 'θ + G' },
    described: `θ + G of each category at draw ${draws}; category ${hot + 1} is the largest`,
  });
  const half = (0.3 * (box.right - box.left)) / (logits.length + 0.2);
  logits.forEach((theta, j) => {
    if (theta === -Infinity) {
      const [x] = at([j + 1, 0]);
      svg.append(label('masked', [x, box.bottom - 8], { class: 'tick' }));
      return;
    }
    const [x, from] = at([j + 1, theta]);
    const [, to] = at([j + 1, scores[j]]);
    const bar = { x: x - half, y: Math.min(from, to), width: 2 * half, height: Math.max(1, Math.abs(to - from)) };
    svg.append(
      draw('rect', { ...bar, class: j === hot ? 'noise taken' : 'noise' }),
      draw('line', { x1: x - half - 4, x2: x + half + 4, y1: from, y2: from, class: 'theta-mark' }),
    );
    if (j === hot) {
      svg.append(
        draw('line', { x1: box.left, x2: box.right, y1: to, y2: to, class: 'taken-line' }),
        label('D', [x, to - 7], { class: 'taken-label' }),
      );
    }
  });
  return svg;
}

/** How often each category was drawn, with π as a mark. */
function histogram({ pi, counts, draws }) {
  const shares = counts.map((count) => count / draws);
  const { svg, at, box } = chart({
    x: { range: [0.4, pi.length + 0.6], name: 'category', ticks: pi.map((_, j) => j + 1) },
    y: { range: [0, Math.min(1, 1.15 * Math.max(...shares, ...pi))], name: 'share' },
    described: `Share of each category in ${draws} draws, beside its probability π`,
  });
  const half = (0.3 * (box.right - box.left)) / (pi.length + 0.2);
  pi.forEach((p, j) => {
    const [x, top] = at([j + 1, shares[j]]);
    const [, mark] = at([j + 1, p]);
    svg.append(draw('rect', { x: x - half, y: top, width: 2 * half, height: box.bottom - top, class: 'share' }));
    svg.append(draw('line', { x1: x - half - 6, x2: x + half + 6, y1: mark, y2: mark, class: 'pi-mark' }));
  });
  return svg;
}
