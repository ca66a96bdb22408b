'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { written, readBack } = load(['address.js'], ['written', 'readBack']);

const VIEW = { x: 0.25, y: 0.75, zoom: 12.5, query: 'red & blue', groups: [3, 0],
  pinned: [17, 1], pictures: false, links: true };

test('what was written is read back', () => {
  assert.deepEqual(readBack(written(VIEW)), VIEW);
});

test('what is not said is not there', () => {
  const plain = { ...VIEW, query: '', groups: [], pinned: null, pictures: true, links: null };
  assert.equal(written(plain), 'x=0.25000&y=0.75000&z=12.50');
  assert.deepEqual(readBack(''), { x: 0.5, y: 0.5, zoom: 1, query: '', groups: [], pinned: null,
    pictures: null, links: null });
});

test('an address that somebody else wrote gives numbers or nothing', () => {
  const { x, y, zoom, groups, pinned } = readBack('x=NaN&y=Infinity&z=1e999&c=1,x,"],2.5,7&p=../..');
  assert.deepEqual([x, y, zoom, groups, pinned], [0.5, 0.5, 1, [1, 7], null]);
});
