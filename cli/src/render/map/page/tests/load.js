'use strict';
// The files of the page are no modules of a build: they are put together into one script. A test
// reads those it needs in that order and takes the names that it asks for.

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/** `load(['bytes.js', 'points.js'], ['layOut'])` gives an object with `layOut`. */
exports.load = (files, names) => {
  const text = files.map((file) => readFileSync(join(__dirname, '..', file), 'utf8')).join('\n');
  return new Function(`'use strict';\n${text}\nreturn { ${names.join(', ')} };`)();
};

/** Numbers as the page is given them: the bytes of a typed array in base 64. */
exports.base64 = (numbers) => Buffer.from(numbers.buffer).toString('base64');
