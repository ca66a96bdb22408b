'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { wantedWords, isMatch, boldRuns, shortened, many } =
  load(['words.js'], ['wantedWords', 'isMatch', 'boldRuns', 'shortened', 'many']);

test('all words must be there, in the title or the id, in any case', () => {
  const wanted = wantedWords('  Red  SHOE ');
  assert.deepEqual(wanted, ['red', 'shoe']);
  assert.ok(isMatch(wanted, 'A red shoe', 'B01') && isMatch(wanted, 'A RED one', 'shoe-7'));
  assert.ok(!isMatch(wanted, 'A red boot', 'B01'));
  assert.deepEqual(wantedWords(' '), []);
});

test('a title is cut where the words begin and end, and nothing of it is lost', () => {
  const runs = boldRuns('Red shoes, red', wantedWords('RED shoe'));
  assert.deepEqual(runs.map(({ text, bold }) => bold ? `<${text}>` : text),
    ['<Red>', ' ', '<shoe>', 's, ', '<red>']);
  for (const title of ['', '<script>', 'aaaa', '\u0130stanbul']) {
    assert.equal(boldRuns(title, ['a', 'aa']).map((run) => run.text).join(''), title);
  }
});

test('overlapping words are one bold run', () => {
  assert.deepEqual(boldRuns('banana', ['ana']),
    [{ text: 'b', bold: false }, { text: 'anana', bold: true }]);
});

test('a title whose lower case is longer is not marked in the wrong place', () => {
  assert.deepEqual(boldRuns('\u0130 red', ['red']), [{ text: '\u0130 red', bold: false }]);
});

test('long titles are cut and numbers are read', () => {
  assert.equal(shortened('x'.repeat(30)), 'x'.repeat(30));
  assert.equal(shortened('x'.repeat(31)), 'x'.repeat(28) + '\u2026');
  assert.equal(many(1, 'item'), '1 item');
  assert.equal(many(1234, 'item'), '1,234 items');
});
