'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { flightAt } = load(['flight.js'], ['flightAt']);

const from = { x: 0.5, y: 0.5, scale: 100 };

test('a flight begins where it begins and ends where it ends', () => {
  for (const to of [{ x: 0.2, y: 0.9, scale: 6400 }, { x: 0.2, y: 0.9, scale: 100 }]) {
    assert.deepEqual(flightAt(from, to, 0), from);
    const end = flightAt(from, to, 1);
    for (const key of ['x', 'y', 'scale']) assert.ok(Math.abs(end[key] - to[key]) < 1e-9, key);
  }
});

test('while it comes nearer, what stands still on the screen stays there', () => {
  // The place that has the same distance from the middle, in pixels, at both ends.
  const to = { x: 0.4, y: 0.5, scale: 400 };
  const still = (to.x * to.scale - from.x * from.scale) / (to.scale - from.scale);
  const pixels = (view) => (still - view.x) * view.scale;
  for (const share of [0.1, 0.5, 0.9]) {
    assert.ok(Math.abs(pixels(flightAt(from, to, share)) - pixels(from)) < 1e-6);
  }
});
