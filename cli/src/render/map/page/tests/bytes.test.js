'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { load, base64 } = require('./load.js');
const { bytes, words } = load(['bytes.js'], ['bytes', 'words']);

test('bytes and numbers come back as they were written', () => {
  assert.deepEqual([...bytes('AAH/gA==')], [0, 1, 255, 128]);
  assert.deepEqual([...bytes('')], []);
  assert.deepEqual([...words(base64(new Uint32Array([0, 1, 4294967295])))], [0, 1, 4294967295]);
});
