// What has room beside what. Pure.

/** A fixed order that looks like none: who comes first keeps its room however the view moves. */
const priority = (point) => Math.imul(point + 1, 2654435761) >>> 0;
const byPriority = (a, b) => priority(a) - priority(b);

/**
 * The scale, pixels of the map's side, from which on most of `points` have room for a picture: that
 * of the coarsest grid of which they fill so many cells that they must lie side by side.
 */
function crowdedScale(points, xs, ys) {
  let cells = 1;
  for (let level = 0; level <= 11; level++) {
    cells = 1 << level;
    const used = new Uint8Array(cells * cells), along = (v) => Math.min(cells - 1, Math.floor(v * cells));
    let full = 0;
    for (const i of points) {
      const at = along(ys[i]) * cells + along(xs[i]);
      if (!used[at]) { used[at] = 1; full++; }
    }
    if (full >= 0.3 * points.length) break;
  }
  return cells * 52;
}

/** Those of `points` that have room, by priority: none lies nearer to another than `reach` pixels. */
function apart(points, xs, ys, scale, reach) {
  const taken = new Map(), chosenOnes = [], key = (row, column) => row * 8388608 + column;
  for (const i of [...points].sort(byPriority)) {
    const x = xs[i] * scale, y = ys[i] * scale;
    const column = Math.floor(x / reach), row = Math.floor(y / reach);
    let free = true;
    for (let r = row - 1; r <= row + 1 && free; r++) {
      for (let c = column - 1; c <= column + 1 && free; c++) {
        const other = taken.get(key(r, c));
        free = other === undefined || Math.abs(xs[other] * scale - x) >= reach
          || Math.abs(ys[other] * scale - y) >= reach;
      }
    }
    if (free) { taken.set(key(row, column), i); chosenOnes.push(i); }
  }
  return chosenOnes;
}

/** Whether two boxes, `[x, y, width, height]`, overlap. */
const overlap = ([x, y, w, h], [ox, oy, ow, oh]) =>
  x < ox + ow && ox < x + w && y < oy + oh && oy < y + h;
