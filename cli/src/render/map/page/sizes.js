// How large and how opaque things are drawn. Pure.

/** Pixels of a dot's width: larger when they are few and when one is near. */
function dotSizeOf(count, wholeScale, zoom) {
  const crowd = Math.max(0.45, Math.min(2.2, (20000 / Math.max(1, count)) ** 0.28));
  const screen = Math.min(1, wholeScale / 700) ** 0.4;
  return Math.max(1.5, Math.min(11, 3.3 * crowd * screen * zoom ** 0.28));
}

/** Dots are paler where many lie on each other, and solid from near. */
function dotOpacityOf(count, zoom) {
  return Math.max(0.35, Math.min(0.92, 0.85 * (20000 / Math.max(1, count)) ** 0.16 * zoom ** 0.25));
}

function linkOpacityOf(links, zoom) {
  const few = (1000 / Math.max(1000, links)) ** 0.4;
  return Math.min(0.8, 0.7 * few * zoom ** 0.3);
}

/** Pixels of a small picture's side, which is `side` pixels in its file. */
function thumbSizeOf(side, scale, thumbScale) {
  return Math.max(40, Math.min(side * 1.4, 128, 52 * Math.sqrt(scale / thumbScale)));
}

/** How opaque a square of the density is that holds `number` dots of `full`. */
function toneOf(number, full) {
  return number === 0 ? 0 : Math.min(1, 0.1 + 0.9 * Math.log1p(number) / Math.log1p(full));
}

/** The number of dots that only one in seventy of the used squares exceeds. */
function fullOf(numbers) {
  const used = numbers.filter((number) => number > 0).sort();
  return Math.max(1, used[Math.floor(used.length * 0.985)] || 1);
}
