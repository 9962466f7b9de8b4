// The panel “Which estimator for me?”: a loss that is typed, and bias and variance of every
// estimator for it.

/** Every estimator in every form, with the numbers that its controls start with. */
function everyEstimator() {
  return Object.entries(estimators).flatMap(([estimator, { forms }]) =>
    [...(forms ?? [{}]).keys()].map((form) => ({ ...NUMBERS, estimator, form })),
  );
}

const advisorTitle = (side) => {
  const { title, forms } = estimators[side.estimator];
  const numbers = parametersOf(side).map((name) => `${PARAMETERS[name].symbol} ${infinite(side[name])}`);
  return [title + (forms ? `, ${forms[side.form].title}` : ''), ...numbers].join(', ');
};

const advisorSettings = (side) => ({
  categories: state.categories,
  loss: 'expression',
  theta: state.theta.slice(0, state.categories),
  estimator: configuration(side),
  ...(estimators[side.estimator].drawn ? { samples: pathSamples() } : {}),
});

function buildAdvisor() {
  const input = html('input', { type: 'text', spellcheck: 'false', autocomplete: 'off', maxlength: LONGEST });
  input.value = state.expression;
  input.addEventListener('input', () => {
    state.expression = input.value;
    state.loss === 'expression' ? update() : renderAdvisor();
  });
  const functions = Object.keys(FUNCTIONS).join(', ');
  const help = `The numbers x1 to x${state.categories} of the sample, + − * / ^, parentheses, and ${functions}.`;
  const average = { values: [1, 4, 16, 64, 256], help: 'Draws averaged in a step, as in a batch.' };
  get('advisor-controls').replaceChildren(
    control('expression', 'f(x) =', input, help),
    slider('advisor-average', 'n', average, state.advisorAverage, (n) => (state.advisorAverage = n)),
  );
}

/** Compiles the expression. If it is wrong, returns the error, and x1 is used as the loss meanwhile. */
function compileLoss() {
  try {
    compiledExpression = checkedExpression(state.expression, state.categories);
    return null;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    compiledExpression = compileExpression('x1', state.categories);
    return error;
  }
}

function showExpressionError(error) {
  const text = state.expression;
  const message = get('expression-error');
  message.hidden = !error;
  get('expression').setAttribute('aria-invalid', Boolean(error));
  if (!error) return message.replaceChildren();
  const { position } = error;
  message.replaceChildren(
    `At character ${position + 1}: ${error.message}. `,
    html('code', {}, text.slice(0, position), html('mark', {}, text[position] ?? '␣'), text.slice(position + 1)),
    state.loss === 'expression' ? ' Until it is corrected, the page uses f(x) = x1.' : '',
  );
}

function renderAdvisor() {
  forget(renderAdvisor);
  const error = compileLoss();
  showExpressionError(error);
  get('advisor-use').disabled = Boolean(error);
  if (error) {
    get('advisor-table').replaceChildren();
    get('advisor-verdict').textContent = '';
    get('advisor').dataset.ready = true;
    return;
  }
  const n = state.advisorAverage;
  const rows = everyEstimator().map((side, k) => ({ side, k, point: biasAndSd(advisorSettings(side), renderAdvisor) }));
  const ready = rows.every(({ point }) => point);
  get('advisor').dataset.ready = ready;
  get('advisor-verdict').textContent = ready ? '' : 'Computing …';
  if (!ready) return;
  const sorted = rows
    .map((row) => ({ ...row, error: Math.hypot(row.point.bias, row.point.sd / Math.sqrt(n)) }))
    .sort((a, b) => a.error - b.error);
  const cells = ({ k, point, error }) => [
    number('td', `advisor.${k}.bias`, point.bias),
    number('td', `advisor.${k}.uncertainty`, point.standardError),
    number('td', `advisor.${k}.sd`, point.sd),
    number('td', `advisor.${k}.error`, error),
  ];
  const head = ['estimator', 'bias', '±', 'sd of one draw', `error, n = ${n}`];
  const lines = sorted.map((row) => [advisorTitle(row.side), cells(row)]);
  get('advisor-table').replaceChildren(table('Every estimator for this loss, the least error first', head, lines));
  // Those with one pass of f are what a large model can afford.
  const onePass = sorted.find(({ side }) => !estimators[side.estimator].needsLoss);
  const drawsText = n === 1 ? 'one draw' : `${n} draws averaged`;
  get('advisor-verdict').textContent =
    `With ${drawsText}, the least error of those that need the slope g at one sample only has ` +
    `${advisorTitle(onePass.side)}: ${decimals(onePass.error)}. The least of all has ${advisorTitle(sorted[0].side)}: ` +
    `${decimals(sorted[0].error)}.`;
}

function useExpression() {
  state.loss = 'expression';
  build();
}
