// The points of the map in the order of the cells they lie in, and who belongs to whom. Pure.

const NONE = 0xffffffff;

/**
 * What the page was told, laid out for drawing: `xs`, `ys` (0 to 1), `kinds` and `itemOf` by place;
 * `firstOf`, for each of `side` times `side` cells the place of its first point; `links`, pairs of
 * places; `linkEnds`, the ends of all links grouped by point from `linkStart` on; `pointOf`, for
 * each item one of its points, its picture before others; `nextOf`, for each point the next one of
 * the same item, in a ring.
 */
function layOut({ count, bits, positions, kinds, itemsOf, links, items }) {
  const raw = bytes(positions).buffer;
  const given = bits === 32 ? new Uint32Array(raw) : new Uint16Array(raw);
  const unit = bits === 32 ? 1 / 4294967295 : 1 / 65535;
  const grid = sorted(count, given, unit);
  const { placeOf } = grid;
  const out = { xs: new Float32Array(count), ys: new Float32Array(count),
    kinds: new Uint8Array(count), itemOf: new Uint32Array(count) };
  const givenKinds = bytes(kinds), givenItems = itemsOf === null ? null : words(itemsOf);
  for (let i = 0; i < count; i++) {
    const at = placeOf[i];
    out.xs[at] = given[2 * i] * unit; out.ys[at] = given[2 * i + 1] * unit;
    out.kinds[at] = givenKinds[i]; out.itemOf[at] = givenItems ? givenItems[i] : i;
  }
  out.links = words(links).map((end) => placeOf[end]);
  return { count, side: grid.side, firstOf: grid.firstOf, ...out, ...grouped(count, out.links),
    ...ringed(items, out) };
}

/** The place of each point when they are sorted by cells of about three points. */
function sorted(count, given, unit) {
  const side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(count / 3))));
  const along = (value) => Math.min(side - 1, Math.floor(value * unit * side));
  const cell = (i) => along(given[2 * i + 1]) * side + along(given[2 * i]);
  const firstOf = new Uint32Array(side * side + 1);
  for (let i = 0; i < count; i++) firstOf[cell(i) + 1]++;
  for (let c = 0; c < side * side; c++) firstOf[c + 1] += firstOf[c];
  const next = firstOf.slice(), placeOf = new Uint32Array(count);
  for (let i = 0; i < count; i++) placeOf[i] = next[cell(i)]++;
  return { side, firstOf, placeOf };
}

/** The ends of all links, grouped by point. */
function grouped(count, links) {
  const linkStart = new Uint32Array(count + 1), linkEnds = new Uint32Array(links.length);
  for (const end of links) linkStart[end + 1]++;
  for (let i = 0; i < count; i++) linkStart[i + 1] += linkStart[i];
  const next = linkStart.slice();
  for (let l = 0; l < links.length; l += 2) {
    linkEnds[next[links[l]]++] = links[l + 1];
    linkEnds[next[links[l + 1]]++] = links[l];
  }
  return { linkStart, linkEnds };
}

/** The points of each item in a ring. */
function ringed(items, { itemOf, kinds }) {
  const pointOf = new Uint32Array(items).fill(NONE), nextOf = new Uint32Array(itemOf.length);
  for (let i = itemOf.length - 1; i >= 0; i--) {
    const item = itemOf[i], head = pointOf[item];
    if (head === NONE) { nextOf[i] = i; pointOf[item] = i; continue; }
    nextOf[i] = nextOf[head]; nextOf[head] = i;
    if (kinds[i] === 0) pointOf[item] = i;
  }
  return { pointOf, nextOf };
}

/** Points that are linked with this one, and other points of its item. */
function partnersOf({ linkStart, linkEnds, nextOf }, point) {
  const found = new Set(linkEnds.subarray(linkStart[point], linkStart[point + 1]));
  for (let other = nextOf[point]; other !== point; other = nextOf[other]) found.add(other);
  found.delete(point);
  return [...found].slice(0, 50);
}

/** Calls `visit(from, to)` for runs of points in the cells that touch a rectangle. */
function eachRunOf({ side, firstOf }, [left, top, right, bottom], visit) {
  const clamp = (v) => Math.max(0, Math.min(side - 1, Math.floor(v * side)));
  if (right < 0 || bottom < 0 || left > 1 || top > 1) return;
  const [c0, c1, r0, r1] = [clamp(left), clamp(right), clamp(top), clamp(bottom)];
  if (c0 === 0 && c1 === side - 1) {
    visit(firstOf[r0 * side], firstOf[(r1 + 1) * side]);
    return;
  }
  for (let row = r0; row <= r1; row++) {
    const from = firstOf[row * side + c0], to = firstOf[row * side + c1 + 1];
    if (to > from) visit(from, to);
  }
}
