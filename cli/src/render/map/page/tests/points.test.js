'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load, base64 } = require('./load.js');
const { layOut, partnersOf, eachRunOf, NONE } =
  load(['bytes.js', 'points.js'], ['layOut', 'partnersOf', 'eachRunOf', 'NONE']);

/** A world of points `[x, y, kind, item]`, places in shares of the side. */
function world(given, links, bits = 16) {
  const most = 2 ** bits - 1, all = given.flatMap(([x, y]) => [Math.round(x * most), Math.round(y * most)]);
  return {
    count: given.length, bits, items: Math.max(...given.map((point) => point[3])) + 2,
    positions: base64(bits === 16 ? new Uint16Array(all) : new Uint32Array(all)),
    kinds: base64(new Uint8Array(given.map((point) => point[2]))),
    itemsOf: base64(new Uint32Array(given.map((point) => point[3]))),
    links: base64(new Uint32Array(links.flat())),
  };
}

/** Points that seem strewn, the same each time. */
function strewn(count) {
  const share = (n) => (Math.imul(n + 1, 2654435761) >>> 0) / 4294967296;
  return Array.from({ length: count }, (_, i) => [share(2 * i), share(2 * i + 1), i % 3, i]);
}

test('every point keeps its place, kind and item, with 16 and with 32 bits', () => {
  for (const bits of [16, 32]) {
    const given = strewn(200), laid = layOut(world(given, [], bits));
    const seen = new Set();
    for (let at = 0; at < laid.count; at++) {
      const [x, y, kind, item] = given[laid.itemOf[at]];
      assert.ok(Math.abs(laid.xs[at] - x) < 1e-4 && Math.abs(laid.ys[at] - y) < 1e-4);
      assert.equal(laid.kinds[at], kind);
      seen.add(item);
    }
    assert.equal(seen.size, 200);
  }
});

test('a rectangle finds all points in it, each once', () => {
  const laid = layOut(world(strewn(500), []));
  for (const box of [[0.2, 0.3, 0.4, 0.9], [0, 0, 1, 1], [-1, -1, 2, 0.05], [0.9, 0.9, 3, 3]]) {
    const visited = [];
    eachRunOf(laid, box, (from, to) => { for (let i = from; i < to; i++) visited.push(i); });
    assert.equal(new Set(visited).size, visited.length);
    for (let i = 0; i < laid.count; i++) {
      const [x, y] = [laid.xs[i], laid.ys[i]];
      const inside = x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3];
      assert.ok(!inside || visited.includes(i), `${x} ${y} in ${box}`);
    }
  }
  eachRunOf(laid, [1.2, 0, 2, 1], () => assert.fail('nothing lies there'));
});

test('partners are the other ends of links and the other points of the item', () => {
  // Item 0 is a picture and a text, linked with item 1; item 2 is alone.
  const laid = layOut(world([[0.9, 0.9, 1, 0], [0.1, 0.1, 0, 0], [0.5, 0.5, 0, 1], [0.2, 0.8, 0, 2]],
    [[0, 2]]));
  const pointAt = (item, kind) =>
    [...laid.itemOf].findIndex((_, i) => laid.itemOf[i] === item && laid.kinds[i] === kind);
  const [text, picture, other, alone] = [pointAt(0, 1), pointAt(0, 0), pointAt(1, 0), pointAt(2, 0)];
  assert.deepEqual(partnersOf(laid, text).sort(), [picture, other].sort());
  assert.deepEqual(partnersOf(laid, other), [text]);
  assert.deepEqual(partnersOf(laid, alone), []);
  assert.equal(laid.pointOf[0], picture, 'a picture stands for its item');
  assert.equal(laid.pointOf[3], NONE, 'an item without a point');
});

test('one point and points at the edges have a cell', () => {
  const laid = layOut(world([[1, 1, 0, 0]], []));
  assert.deepEqual([...laid.firstOf], [0, 1]);
  assert.equal(layOut(world([[0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 2], [1, 0, 0, 3]], [])).count, 4);
});
