// One frame.

let asked = false, lastFrame = 0, hovered = -1, pinned = -1;
/** While the view moves on a slow machine only each so many-th dot is drawn; at rest, all. */
let thin = 1, pace = 16, movedAt = 0, settling = 0;
const THINNEST = 16, ENOUGH_DOTS = 12000, SLOW_MS = 36, FAST_MS = 20;

/** Learns from the time between the frames of one movement how many dots this machine bears. */
function watchPace(now, inView) {
  const moving = now - movedAt < 120;
  if (!moving) return 1;
  const gap = now - lastFrame;
  if (gap < 500) pace = 0.6 * pace + 0.4 * gap;
  if (pace > SLOW_MS && inView / thin > ENOUGH_DOTS && thin < THINNEST) { thin++; pace = SLOW_MS; }
  else if (pace < FAST_MS && thin > 1) { thin--; pace = SLOW_MS; }
  clearTimeout(settling);
  settling = setTimeout(redraw, 180);
  return Math.max(1, Math.min(thin, Math.floor(inView / ENOUGH_DOTS)));
}

function redraw() {
  if (asked || !styles) return;
  asked = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  asked = false;
  const step = Math.min(1, (now - lastFrame > 200 ? 16 : now - lastFrame) / 160);
  if (flight) stepFlight(now);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const runs = [];
  let inView = 0;
  const edge = 12;
  eachRun(toMapX(-edge), toMapY(-edge), toMapX(width + edge), toMapY(height + edge), (from, to) => {
    runs.push(from, to);
    inView += to - from;
  });
  // Between half of the limit and the limit, the density turns into dots.
  const dense = Math.max(0, Math.min(1, 2 * inView / dotLimit - 1));
  if (dense > 0) drawDensity(dense);
  const thinned = watchPace(now, inView);
  lastFrame = now;
  if (gl) drawGl(runs, 1 - dense, thinned);
  else drawPlain(runs, 1 - dense);
  drawThumbs(step);
  if (dense === 0) drawLabels(runs);
  if (hovered >= 0) drawMarked(hovered);
  if (pinned >= 0 && pinned !== hovered) drawMarked(pinned);
  over.dataset.frames = Number(over.dataset.frames || 0) + 1;
}

/** A ring around a point, lines to its partners, its picture above the others. */
function drawMarked(point) {
  const x = toScreenX(xs[point]), y = toScreenY(ys[point]);
  pen.strokeStyle = css(theme.link, 0.95);
  pen.lineWidth = 1.75;
  for (const other of partners(point)) {
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(toScreenX(xs[other]), toScreenY(ys[other]));
    pen.stroke();
    ring(other, dotSize() / 2 + 2.5);
  }
  if (seen.has(point)) {
    const size = thumbSize() * 1.06;
    if (paintThumb(pen, point, x - size / 2, y - size / 2, size)) {
      pen.strokeStyle = theme.accent;
      pen.lineWidth = 2.5;
      pen.strokeRect(x - size / 2, y - size / 2, size, size);
      return;
    }
  }
  ring(point, dotSize() / 2 + 4);
}

function ring(point, radius) {
  const x = toScreenX(xs[point]), y = toScreenY(ys[point]);
  pen.fillStyle = colourOf(point);
  pen.beginPath(); pen.arc(x, y, dotSize() / 2, 0, 7); pen.fill();
  pen.strokeStyle = theme.ink;
  pen.lineWidth = 1.5;
  pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.stroke();
}
