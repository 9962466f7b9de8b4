// A loss that is written in the page: a small parser of arithmetic, without eval, and derivatives
// by the chain rule.
//
//   sum      = product { ("+" | "-") product }
//   product  = unary { ("*" | "/") unary }
//   unary    = "-" unary | power
//   power    = atom [ "^" unary ]           the exponent is a number
//   atom     = number | "x" digits | function "(" sum ")" | "(" sum ")"
//
// A compiled expression is a function of a point that returns { value, gradient }.

/** What can be called: the function and its derivative. */
const FUNCTIONS = {
  exp: [Math.exp, Math.exp],
  log: [Math.log, (x) => 1 / x],
  sqrt: [Math.sqrt, (x) => 0.5 / Math.sqrt(x)],
  sin: [Math.sin, Math.cos],
  cos: [Math.cos, (x) => -Math.sin(x)],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  sigmoid: [sigmoid, (x) => sigmoid(x) * (1 - sigmoid(x))],
  softplus: [softplus, sigmoid],
  abs: [Math.abs, Math.sign],
};

/** Characters of an expression; so it cannot be nested too deep for the parser. */
const LONGEST = 400;

/** An error at a position of the text, counted from 0. */
class ExpressionError extends Error {
  constructor(position, message) {
    super(message);
    this.position = position;
  }
}

/** Pieces of the text with their positions; the last is the end. */
function tokensOf(text) {
  const pattern = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z]\w*)|([-+*/^()]))/y;
  const tokens = [];
  while (pattern.lastIndex < text.trimEnd().length) {
    const from = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) {
      const position = from + text.slice(from).search(/\S/);
      throw new ExpressionError(position, `“${text[position]}” is not part of an expression`);
    }
    const [whole, digits, name, sign] = match;
    const position = from + whole.length - whole.trimStart().length;
    tokens.push({ position, number: digits && Number(digits), name, sign, text: whole.trim() });
  }
  tokens.push({ position: text.trimEnd().length, text: 'the end' });
  return tokens;
}

const constant = (value) => ({ value, at: (x) => ({ value, gradient: x.map(() => 0) }) });

/** Values by `value`, gradients by the weights of both operands. Of two numbers it is a number. */
function combined(a, b, value, weights) {
  if (a.value !== undefined && b.value !== undefined) return constant(value(a.value, b.value));
  const at = (x) => {
    const [u, v] = [a.at(x), b.at(x)];
    const [p, q] = weights(u.value, v.value);
    return { value: value(u.value, v.value), gradient: u.gradient.map((g, j) => p * g + q * v.gradient[j]) };
  };
  return { at };
}

/** A function of one operand, by its derivative. */
function called(a, value, derivative) {
  if (a.value !== undefined) return constant(value(a.value));
  const at = (x) => {
    const u = a.at(x);
    return { value: value(u.value), gradient: scale(derivative(u.value), u.gradient) };
  };
  return { at };
}

const OPERATORS = {
  '+': [(u, v) => u + v, () => [1, 1]],
  '-': [(u, v) => u - v, () => [1, -1]],
  '*': [(u, v) => u * v, (u, v) => [v, u]],
  '/': [(u, v) => u / v, (u, v) => [1 / v, -u / (v * v)]],
};

/** The expression as a function of a point x of `categories` numbers. Throws an ExpressionError. */
function compileExpression(text, categories) {
  if (text.length > LONGEST) throw new ExpressionError(LONGEST, `an expression has at most ${LONGEST} characters`);
  const tokens = tokensOf(text);
  let next = 0;
  const is = (...signs) => signs.includes(tokens[next].sign);
  const expect = (sign) => {
    if (!is(sign))
      throw new ExpressionError(tokens[next].position, `expected “${sign}”, found ${described(tokens[next])}`);
    next += 1;
  };
  const described = (token) => (token.text === 'the end' ? 'the end' : `“${token.text}”`);
  const chain = (operand, signs) => {
    let left = operand();
    while (is(...signs)) {
      const [value, weights] = OPERATORS[tokens[next++].sign];
      left = combined(left, operand(), value, weights);
    }
    return left;
  };
  const sumOf = () => chain(product, ['+', '-']);
  const product = () => chain(unary, ['*', '/']);
  function unary() {
    if (!is('-')) return power();
    next += 1;
    return called(
      unary(),
      (u) => -u,
      () => -1,
    );
  }
  function power() {
    const base = atom();
    if (!is('^')) return base;
    next += 1;
    const { position } = tokens[next];
    const exponent = unary().value;
    if (exponent === undefined) throw new ExpressionError(position, 'the exponent has to be a number');
    return called(
      base,
      (u) => u ** exponent,
      (u) => (exponent === 0 ? 0 : exponent * u ** (exponent - 1)),
    );
  }
  function atom() {
    const token = tokens[next];
    next += 1;
    if (token.number !== undefined) return constant(token.number);
    if (token.sign === '(') {
      const inner = sumOf();
      expect(')');
      return inner;
    }
    if (token.name !== undefined) return named(token);
    next -= 1;
    throw new ExpressionError(token.position, `expected a number, a variable or “(”, found ${described(token)}`);
  }
  function named({ name, position }) {
    const index = /^x\d+$/.test(name) ? Number(name.slice(1)) - 1 : -1;
    if (index >= 0 && index < categories)
      return { at: (x) => ({ value: x[index], gradient: oneHot(index, x.length) }) };
    if (Object.hasOwn(FUNCTIONS, name)) {
      expect('(');
      const argument = sumOf();
      expect(')');
      return called(argument, ...FUNCTIONS[name]);
    }
    const known = `x1 to x${categories}, ${Object.keys(FUNCTIONS).join(', ')}`;
    throw new ExpressionError(position, `“${name}” is not known: expected one of ${known}`);
  }
  const whole = sumOf();
  if (tokens[next].text !== 'the end') {
    throw new ExpressionError(tokens[next].position, `expected an operator, found ${described(tokens[next])}`);
  }
  return whole.at;
}

/** The compiled expression, after it was found finite at every corner of the simplex. */
function checkedExpression(text, categories) {
  if (!text.trim()) throw new ExpressionError(0, 'an expression in x1, x2, … is expected');
  const compiled = compileExpression(text, categories);
  for (let hot = 0; hot < categories; hot++) {
    const { value, gradient } = compiled(oneHot(hot, categories));
    const finite = Number.isFinite(value) && gradient.every(Number.isFinite);
    if (!finite) throw new ExpressionError(0, `f or its derivative is not finite at category ${hot + 1}`);
  }
  return compiled;
}

/** What the loss `expression` is at present. */
let compiledExpression = null;
losses.expression = {
  value: (x) => compiledExpression(x).value,
  gradient: (x) => compiledExpression(x).gradient,
  title: 'Your own expression',
  formula: 'f(x) is written under “Which estimator for me?”',
  note: 'Computed with its derivative by the chain rule.',
};
