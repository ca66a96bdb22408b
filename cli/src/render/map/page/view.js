// Where the view is, and how it moves.

const over = byId('over'), dots = byId('dots'), panel = byId('panel'), card = byId('card');
const pen = over.getContext('2d');
let width = 1, height = 1, ratio = 1;
/** Where the middle of the view lies on the screen: beside the panel. */
let middleX = 0, middleY = 0;
/** x, y: what lies in the middle; scale: pixels of the map's side. */
const view = { x: 0.5, y: 0.5, scale: 1 };
let wholeScale = 1, flight = null;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

const toScreenX = (x) => (x - view.x) * view.scale + middleX;
const toScreenY = (y) => (y - view.y) * view.scale + middleY;
const toMapX = (x) => (x - middleX) / view.scale + view.x;
const toMapY = (y) => (y - middleY) / view.scale + view.y;
const zoom = () => view.scale / wholeScale;
const narrow = () => innerWidth <= 700;

function measure() {
  const before = zoom();
  width = innerWidth; height = innerHeight; ratio = Math.min(devicePixelRatio || 1, 2);
  for (const canvas of [dots, over]) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const box = panel.getBoundingClientRect();
  const beside = !narrow() && !panel.classList.contains('folded');
  const left = beside ? box.right : 0;
  const top = narrow() ? Math.min(box.bottom, height * 0.3) : 0;
  middleX = (left + width) / 2; middleY = (top + height) / 2;
  wholeScale = Math.max(120, 0.92 * Math.min(width - left, height - top));
  view.scale = wholeScale * before;
  redraw();
}

function setView(x, y, scale) {
  view.scale = Math.max(wholeScale * 0.5, Math.min(scale, wholeScale * 4000, 6e6));
  movedAt = performance.now();
  view.x = Math.max(-0.1, Math.min(1.1, x)); view.y = Math.max(-0.1, Math.min(1.1, y));
  remember();
  redraw();
}

/** Zooms so that what lies under a place of the screen stays there. */
function zoomAt(screenX, screenY, factor) {
  const x = toMapX(screenX), y = toMapY(screenY);
  const scale = Math.max(wholeScale * 0.5, Math.min(view.scale * factor, wholeScale * 4000, 6e6));
  setView(x - (screenX - middleX) / scale, y - (screenY - middleY) / scale, scale);
}

function fly(x, y, scale) {
  if (calm.matches) { setView(x, y, scale); return; }
  flight = { from: { ...view }, to: { x, y, scale }, start: performance.now(), time: 420 };
  redraw();
}

function stepFlight(now) {
  const share = Math.min(1, (now - flight.start) / flight.time);
  const at = flightAt(flight.from, flight.to, share);
  if (share === 1) flight = null;
  setView(at.x, at.y, at.scale);
}

function flyZoom(screenX, screenY, factor) {
  const scale = Math.max(wholeScale * 0.5, Math.min(view.scale * factor, wholeScale * 4000, 6e6));
  fly(toMapX(screenX) - (screenX - middleX) / scale, toMapY(screenY) - (screenY - middleY) / scale,
    scale);
}
const flyHome = () => fly(0.5, 0.5, wholeScale);

function flyTo(point) {
  fly(xs[point], ys[point], Math.max(view.scale, Math.min(thumbScale * 1.5, wholeScale * 60)));
}
