// Small pictures.

const SHEETS_HELD = 96;
const sheets = new Map();
/** The scale from which on most pictures have room. */
let thumbScale = Infinity;
/** Pictures that are seen, and how much of each. */
const seen = new Map();
let seenBoxes = [];

/** A sheet that has come, or nothing; asks for it. The least recently used ones are let go. */
function sheet(number) {
  let entry = sheets.get(number);
  if (entry) sheets.delete(number);
  else {
    entry = { image: new Image(), ready: false };
    entry.image.src = sheetAddresses[number];
    // Decoded beside the frames, not in one of them.
    entry.image.decode().then(() => { entry.ready = true; redraw(); }, () => {});
    if (sheets.size >= SHEETS_HELD) sheets.delete(sheets.keys().next().value);
  }
  sheets.set(number, entry);
  return entry.ready ? entry.image : null;
}

const hasThumb = (point) => places !== null && kinds[point] !== 1 && places[itemOf[point]] !== NONE;

function paintThumb(target, point, x, y, size) {
  const { side: px, across } = world.thumbs;
  const place = places[itemOf[point]], each = across * across;
  const image = sheet(Math.floor(place / each));
  if (!image) return false;
  const inside = place % each;
  target.drawImage(image, (inside % across) * px, Math.floor(inside / across) * px, px, px,
    x, y, size, size);
  return true;
}

function findThumbScale() {
  if (!places) return;
  const own = [];
  for (let i = 0; i < count; i++) if (hasThumb(i)) own.push(i);
  if (own.length > 0) thumbScale = crowdedScale(own, xs, ys);
}

const thumbSize = () => thumbSizeOf(world.thumbs.side, view.scale, thumbScale);

/** Which pictures in view have room. */
function chooseThumbs(room) {
  const candidates = [];
  eachRun(toMapX(-room), toMapY(-room), toMapX(width + room), toMapY(height + room), (from, to) => {
    for (let i = from; i < to && candidates.length < 12000; i++) {
      if (hasThumb(i) && isBright(i)) candidates.push(i);
    }
  });
  return apart(candidates, xs, ys, view.scale, room * 0.86);
}

function drawThumbs(step) {
  seenBoxes = [];
  const near = places !== null && byId('pictures').checked && view.scale > 0.6 * thumbScale;
  if (!near && seen.size === 0) return;
  const size = thumbSize(), now = new Set(near ? chooseThumbs(size) : []);
  for (const point of now) if (!seen.has(point)) seen.set(point, 0);
  let moving = false;
  for (const [point, alpha] of seen) {
    const goal = now.has(point) ? 1 : 0;
    const next = goal > alpha ? Math.min(goal, alpha + step) : Math.max(goal, alpha - step);
    if (next === 0 && goal === 0) { seen.delete(point); continue; }
    const x = toScreenX(xs[point]) - size / 2, y = toScreenY(ys[point]) - size / 2;
    if (x > width || y > height || x < -size || y < -size) {
      if (goal === 0) seen.delete(point);
      continue;
    }
    pen.globalAlpha = next;
    if (!paintThumb(pen, point, x, y, size)) continue;
    seen.set(point, next);
    if (next !== goal) moving = true;
    pen.strokeStyle = colourOf(point);
    pen.lineWidth = 1.5;
    pen.strokeRect(x - 0.25, y - 0.25, size + 0.5, size + 0.5);
    seenBoxes.push(point, x, y, size);
  }
  pen.globalAlpha = 1;
  if (moving) redraw();
}
