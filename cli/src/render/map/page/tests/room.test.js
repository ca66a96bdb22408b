'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { priority, apart, crowdedScale, overlap } =
  load(['room.js'], ['priority', 'apart', 'crowdedScale', 'overlap']);

const grid = (side) => {
  const at = Array.from({ length: side * side }, (_, i) => i);
  return { at, xs: at.map((i) => (i % side + 0.5) / side), ys: at.map((i) => (Math.floor(i / side) + 0.5) / side) };
};

test('pictures that are chosen lie apart, and none that had room is left out', () => {
  const { at, xs, ys } = grid(20), reach = 50, scale = 400;
  const chosen = apart(at, xs, ys, scale, reach);
  const near = (a, b) => Math.abs(xs[a] - xs[b]) * scale < reach && Math.abs(ys[a] - ys[b]) * scale < reach;
  for (const a of chosen) for (const b of chosen) assert.ok(a === b || !near(a, b), `${a} ${b}`);
  for (const a of at) assert.ok(chosen.some((b) => near(a, b)), `${a} has room`);
});

test('who comes first keeps its room when others come', () => {
  const { at, xs, ys } = grid(10);
  const first = [...at].sort((a, b) => priority(a) - priority(b))[0];
  assert.ok(apart([first, 3, 4], xs, ys, 1, 50).includes(first));
  assert.deepEqual(apart(at, xs, ys, 1, 50), [first]);
});

test('the more points there are, the nearer one must be to see their pictures', () => {
  const scale = (side) => { const { at, xs, ys } = grid(side); return crowdedScale(at, xs, ys); };
  assert.equal(scale(1), 52);
  assert.ok(scale(8) > scale(2) && scale(64) > scale(8));
  const same = Array(100).fill(0.5);
  assert.equal(crowdedScale([...same.keys()], same, same), 2048 * 52, 'all in one place');
});

test('boxes that touch do not overlap', () => {
  assert.ok(overlap([0, 0, 10, 10], [9, 9, 5, 5]) && overlap([9, 9, 5, 5], [0, 0, 10, 10]));
  assert.ok(!overlap([0, 0, 10, 10], [10, 0, 5, 5]) && !overlap([0, 0, 10, 10], [0, 10, 5, 5]));
});
