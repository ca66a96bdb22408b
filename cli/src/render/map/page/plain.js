// Dots and links where there is no WebGL.

/** The same without WebGL, on the upper canvas. */
function drawPlain(runs, opacity) {
  if (byId('links').checked) {
    pen.strokeStyle = css(theme.link, Math.max(0.12, linkOpacity()));
    pen.lineWidth = 1;
    pen.beginPath();
    const step = 2 * Math.max(1, Math.ceil(links.length / 2 / 6000));
    for (let l = 0; l < links.length; l += step) {
      if (!isBright(links[l]) || !isBright(links[l + 1])) continue;
      pen.moveTo(toScreenX(xs[links[l]]), toScreenY(ys[links[l]]));
      pen.lineTo(toScreenX(xs[links[l + 1]]), toScreenY(ys[links[l + 1]]));
    }
    pen.stroke();
  }
  if (opacity <= 0) return;
  const size = dotSize(), colours = theme.colours.map((c) => css(c));
  for (const pass of filtering() ? [DIM, 0] : [0]) {
    pen.globalAlpha = opacity * (pass === DIM ? 0.32 : dotOpacity());
    for (let r = 0; r < runs.length; r += 2) {
      for (let i = runs[r]; i < runs[r + 1]; i++) {
        if ((styles[i] & DIM) !== pass) continue;
        pen.fillStyle = pass === DIM ? css(theme.dim) : colours[styles[i]];
        pen.beginPath();
        pen.arc(toScreenX(xs[i]), toScreenY(ys[i]), size / 2, 0, 7);
        pen.fill();
      }
    }
  }
  pen.globalAlpha = 1;
}
