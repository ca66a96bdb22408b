'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load } = require('./load.js');
const { adapted, css, rgbOf, themeOf, KIND, OTHER } =
  load(['colours.js'], ['adapted', 'css', 'rgbOf', 'themeOf', 'KIND', 'OTHER']);

const WORLD = { palette: ['#102030', '#ff0000'], otherColour: '#888888',
  kindColours: ['#000080', '#008000', '#800000'], linkColour: '#444444' };

test('a colour is read and written', () => {
  assert.deepEqual(rgbOf('#0aff80'), [10, 255, 128]);
  assert.equal(css([10, 255, 128]), 'rgb(10 255 128 / 1)');
  assert.equal(css([1, 2, 3], 0.5), 'rgb(1 2 3 / 0.5)');
});

test('on a dark ground dark colours become lighter, and the darkest most', () => {
  const lightness = ([r, g, b]) => 0.3 * r + 0.59 * g + 0.11 * b;
  const gain = (rgb) => lightness(adapted(rgb, true)) - lightness(rgb);
  assert.deepEqual(adapted([16, 32, 48], false), [16, 32, 48]);
  assert.ok(gain([0, 0, 0]) > gain([100, 100, 100]) && gain([100, 100, 100]) > gain([250, 250, 250]));
  assert.ok(adapted([255, 255, 255], true).every((v) => v === 255));
});

test('every number of a style has a colour', () => {
  for (const dark of [false, true]) {
    const { colours } = themeOf(WORLD, dark);
    assert.equal(colours.length, 32);
    for (const colour of colours) assert.equal(colour.length, 3);
    assert.deepEqual(colours[OTHER], adapted([136, 136, 136], dark));
    assert.deepEqual(colours[KIND + 2], adapted([128, 0, 0], dark));
    assert.deepEqual(colours[5], colours[OTHER], 'a group without a colour of its own');
  }
});
