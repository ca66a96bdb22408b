'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { dotSizeOf, dotOpacityOf, linkOpacityOf, thumbSizeOf, toneOf, fullOf } = load(['sizes.js'],
  ['dotSizeOf', 'dotOpacityOf', 'linkOpacityOf', 'thumbSizeOf', 'toneOf', 'fullOf']);

const rises = (values) => values.every((value, i) => i === 0 || value >= values[i - 1]);

test('dots are larger where they are few and where one is near, within bounds', () => {
  assert.ok(rises([1e6, 1e5, 1e4, 100].map((count) => dotSizeOf(count, 700, 1))));
  assert.ok(rises([0.5, 1, 10, 1000].map((zoom) => dotSizeOf(20000, 700, zoom))));
  for (const count of [0, 1, 1e7]) {
    for (const zoom of [0.01, 1, 1e6]) {
      const size = dotSizeOf(count, 300, zoom);
      assert.ok(size >= 1.5 && size <= 11, `${count} ${zoom} ${size}`);
    }
  }
});

test('what is crowded is paler and turns solid from near', () => {
  assert.ok(rises([1e6, 1e5, 1e4].map((count) => dotOpacityOf(count, 1))));
  assert.ok(rises([1, 10, 100].map((zoom) => dotOpacityOf(1e6, zoom))));
  assert.ok(rises([1e6, 1e4, 1000, 1].map((links) => linkOpacityOf(links, 1))));
  assert.ok(linkOpacityOf(0, 1e6) <= 0.8 && dotOpacityOf(0, 1e6) <= 0.92);
});

test('small pictures are never larger than they can be shown', () => {
  assert.equal(thumbSizeOf(64, 1e6, 52), 64 * 1.4);
  assert.equal(thumbSizeOf(128, 1e6, 52), 128);
  assert.equal(thumbSizeOf(64, 1, 52), 40);
});

test('a square without dots is empty and the fullest ones are solid', () => {
  const numbers = new Float32Array(1000);
  for (let i = 0; i < 200; i++) numbers[i] = i + 1;
  const full = fullOf(numbers);
  assert.equal(full, 198);
  assert.equal(toneOf(0, full), 0);
  assert.equal(toneOf(500, full), 1);
  assert.ok(rises([0, 1, 2, 50, 198].map((number) => toneOf(number, full))));
  assert.equal(fullOf(new Float32Array(4)), 1, 'nothing at all');
});
