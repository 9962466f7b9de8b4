// The report of `reproduce` in a real browser: what it shows, at every width and in both colour schemes, is what its files say.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

/** Set by `run`: a directory with a report, the installed browser, and where pictures go. */
const { REPORT, CHROMIUM, SCREENSHOTS } = process.env;
const url = pathToFileURL(path.join(REPORT, 'report.html')).href;
const FIGURES = [
  'difference-train',
  'difference-test',
  ...['8x4-160', '4x24-160', '16x12-160', '8x16-10', '8x4-10', '8x4-10-forms'].flatMap((id) =>
    ['train', 'test'].map((split) => `curves-${id}-${split}`),
  ),
  'beta-8x4-50-epochs-1-figure',
  ...['cosine', 'relative-sd', 'bias-norm', 'covariance-trace'].map((id) => `bias-variance-figure-1-${id}`),
];
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
});
after(() => browser.close());

/** The page; `seen` collects what should not happen. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const seen = { requests: [], messages: [] };
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) seen.requests.push(request.url());
  });
  page.on('console', (message) => seen.messages.push(message.text()));
  page.on('pageerror', (error) => seen.messages.push(error.message));
  await page.goto(url);
  return { page, seen };
}

test('one file: no other request, no message, no script', async () => {
  const { page, seen } = await open();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  await page.waitForTimeout(200);
  assert.deepEqual(seen, { requests: [url], messages: [] });
  assert.equal(await page.locator('script').count(), 0);
  const broken = await page.$$eval('a[href^="#"]', (links) =>
    links.map((link) => link.getAttribute('href')).filter((href) => !document.querySelector(href)),
  );
  assert.deepEqual(broken, []);
  assert.ok(await page.$eval('.picture img', (image) => image.complete && image.naturalWidth > 0));
});

test('each figure is there, has a name, axes and data within its frame', async () => {
  const { page } = await open();
  const ids = await page.$$eval('.panels figure', (figures) => figures.map((figure) => figure.id));
  for (const id of FIGURES) assert.ok(ids.includes(id), `${id} of ${ids}`);
  assert.equal(new Set(ids).size, ids.length, 'every id once');
  const figures = await page.$$eval('.panels figure', (figures) =>
    figures.map((figure) => {
      const svg = figure.querySelector('svg');
      const box = ({ x, y, width, height }) => ({ x, y, right: x + width, bottom: y + height, width, height });
      const [grid] = svg.querySelectorAll('.grid path');
      const rows = [...svg.querySelectorAll('.grid path')].map((line) => line.getBBox());
      return {
        id: figure.id,
        size: svg.getBoundingClientRect().width * svg.getBoundingClientRect().height,
        view: box(svg.viewBox.baseVal),
        plot: {
          x: grid.getBBox().x,
          right: grid.getBBox().x + grid.getBBox().width,
          y: Math.min(...rows.map(({ y }) => y)),
          bottom: Math.max(...rows.map(({ y }) => y)),
        },
        data: [...svg.querySelectorAll('.line, .band, .error')].map((path) => box(path.getBBox())),
        marks: [...svg.querySelectorAll('.mark')].map((path) => box(path.getBBox())),
        texts: [...svg.querySelectorAll('text')].map((text) => ({ text: text.textContent, ...box(text.getBBox()) })),
        name: document.getElementById(svg.getAttribute('aria-labelledby'))?.textContent,
        description: document.getElementById(svg.getAttribute('aria-describedby'))?.textContent,
        notes: [...svg.querySelectorAll('.point title')].map((title) => title.textContent),
      };
    }),
  );
  const within = (a, b, slack) =>
    a.x >= b.x - slack && a.right <= b.right + slack && a.y >= b.y - slack && a.bottom <= b.bottom + slack;
  for (const { id, size, view, plot, data, marks, texts, name, description, notes } of figures) {
    assert.ok(size > 10_000, id);
    assert.ok(name.length > 10 && description.length > 30, id);
    assert.ok(data.length + marks.length > 0 && marks.length > 0 && notes.length === marks.length, id);
    for (const box of data) {
      assert.ok(within(box, plot, 0.06), `${id}: ${JSON.stringify(box)} in ${JSON.stringify(plot)}`); // coordinates have one decimal
      assert.ok(box.width + box.height > 1, id);
    }
    for (const box of marks) {
      const middle = { x: (box.x + box.right) / 2, y: (box.y + box.bottom) / 2 };
      assert.ok(within({ ...middle, right: middle.x, bottom: middle.y }, plot, 1), `${id}: ${JSON.stringify(box)}`);
    }
    for (const text of texts) assert.ok(within(text, view, 1), `${id}: “${text.text}” is cut`);
    assert.ok(texts.some(({ text }) => /nats|cosine|relative sd/.test(text)), `${id}: the unit`);
  }
});

test('a number that does not exist is a gap in the line', async () => {
  const { page } = await open();
  const lines = await page.$$eval('#bias-variance-figure-1-cosine .line', (lines) =>
    lines.map((line) => line.getAttribute('d').match(/M/g).length),
  );
  assert.deepEqual(lines.sort(), [1, 1, 1, 1, 2]);
  assert.equal(await page.locator('#bias-variance-figure-1-cosine .mark').count(), 5 * 11 - 1);
});

test('a difference lies where the axis says', async () => {
  const { page } = await open();
  const rows = (await tsv('table2-as-run-differences')).slice(1);
  const drawn = await page.$$eval('#difference-train .point', (points) =>
    points.map((point) => {
      const box = point.querySelector('.mark').getBBox();
      return [point.querySelector('title').textContent, box.y + box.height / 2];
    }),
  );
  const ticks = await page.$$eval('#difference-train .tick[text-anchor=end]', (ticks) =>
    ticks.map((tick) => [Number(tick.textContent.replace('−', '-')), Number(tick.getAttribute('y'))]),
  );
  const [[low, at], [high, above]] = [ticks[0], ticks.at(-1)];
  assert.equal(drawn.length, rows.length);
  for (const row of rows) {
    const [, y] = drawn.find(([note]) => note === `${row[0]}, ${row[1]}: ${row[8]} nats`);
    const value = low + ((y - at) / (above - at)) * (high - low);
    const unit = Math.abs((high - low) / (above - at)); // a mark's middle may be a little off its box's
    assert.ok(Math.abs(value - Number(row[8])) < 0.005 + 1.2 * unit, `${row}: ${value}`);
  }
});

const tsv = async (id) => {
  const text = await readFile(path.join(REPORT, `${id}.tsv`), 'utf8');
  return text.trimEnd().split('\n').map((line) => line.split('\t'));
};

test('the tables’ cells are those of the TSV files and of report.md', async () => {
  const { page } = await open();
  const tables = await page.$$eval('table', (tables) =>
    tables.map((table) => ({
      id: table.id,
      cells: [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
    })),
  );
  const files = (await readdir(REPORT)).filter((name) => name.endsWith('.tsv'));
  assert.deepEqual(tables.map(({ id }) => `${id}.tsv`).sort(), files.sort());
  const plain = (text) => text.replace(/(^|[ (])−(?=\d)/g, '$1-');
  const markdown = await readFile(path.join(REPORT, 'report.md'), 'utf8');
  const unescaped = (cell) =>
    cell
      .replace(/^(\*\*|\*|<u>)(.*?)(\*\*|\*|<\/u>)$/, '$2')
      .replace(/\\(.)/g, '$1')
      .replace(/&lt;/g, '<')
      .replace(/&amp;/g, '&');
  for (const { id, cells } of tables) {
    const shown = cells.map((row) => row.map(plain));
    assert.deepEqual(shown, await tsv(id), id);
    const before = markdown.slice(0, markdown.indexOf(`(\`${id}.tsv\`)`)).trimEnd().split('\n');
    const lines = before.slice(before.findLastIndex((line) => line === '') + 1).filter((line) => !line.startsWith('| ---'));
    const written = lines.map((line) => line.slice(2, -2).split(' | ').map((cell) => unescaped(cell.trim())));
    assert.deepEqual(written, shown, `${id} in report.md`);
  }
});

/** Contrast as WCAG 2 defines it, of each text against what is behind it. */
async function contrasts(page) {
  return page.evaluate(() => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const luminance = (colour) => {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      const linear = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => {
        const x = v / 255;
        return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const paper = luminance(getComputedStyle(document.body).backgroundColor);
    const ratio = (colour) => {
      const [a, b] = [luminance(colour), paper].sort((a, b) => b - a);
      return (a + 0.05) / (b + 0.05);
    };
    const least = (selector, property) => {
      const ratios = [...document.querySelectorAll(selector)].map((e) => ratio(getComputedStyle(e)[property]));
      return Math.min(...ratios);
    };
    return {
      text: Math.min(least('p, h1, h2, h3, th, td, a, figcaption, li', 'color'), least('svg text', 'fill')),
      marks: Math.min(least('.line, .error', 'stroke'), least('.mark', 'stroke')),
      paper,
    };
  });
}

for (const colorScheme of ['light', 'dark'])
  test(`${colorScheme}: text and marks stand out`, async () => {
    const { page } = await open({ colorScheme });
    const { text, marks, paper } = await contrasts(page);
    assert.ok(colorScheme === 'dark' ? paper < 0.05 : paper > 0.95);
    assert.ok(text >= 4.5, `text ${text}`);
    assert.ok(marks >= 3, `marks ${marks}`);
    await page.screenshot({ path: path.join(SCREENSHOTS, `report-${colorScheme}.png`), fullPage: true });
  });

for (const width of [360, 768])
  test(`${width} pixels wide: the page does not scroll sideways, the tables do`, async () => {
    const { page } = await open({ viewport: { width, height: 740 } });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    const wide = await page.$$eval('.table', (boxes) => boxes.filter((box) => box.scrollWidth > box.clientWidth).length);
    assert.ok(wide > 0);
    const cut = await page.$$eval('.plot', (plots) =>
      plots.flatMap((svg) => {
        const frame = svg.getBoundingClientRect();
        const outside = ({ left, right, top, bottom }) =>
          left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1;
        const texts = [...svg.querySelectorAll('text')];
        const small = texts.filter((text) => text.getBoundingClientRect().height < 9);
        const bad = [...texts.filter((text) => outside(text.getBoundingClientRect())), ...small];
        return bad.map((text) => `${svg.closest('figure').id}: ${text.textContent}`);
      }),
    );
    assert.deepEqual(cut, []);
    await page.screenshot({ path: path.join(SCREENSHOTS, `report-${width}.png`), fullPage: true });
  });
