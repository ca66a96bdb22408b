// The density, for more dots than can be told apart.

let density = null, densityVersion = -1;

/** How many dots of which colour lie in each of many small squares, as a picture. */
function densityPicture() {
  if (density !== null && densityVersion === styleVersion) return density;
  const cells = count > 400000 ? 1024 : 512;
  // Of what is bright: red, green, blue, number; of what is dim only the number.
  const sums = new Float32Array(cells * cells * 4), dims = new Float32Array(cells * cells);
  for (let i = 0; i < count; i++) {
    const x = Math.min(cells - 1, Math.floor(xs[i] * cells));
    const y = Math.min(cells - 1, Math.floor(ys[i] * cells));
    const cell = y * cells + x;
    if (styles[i] >= DIM) { dims[cell]++; continue; }
    const colour = theme.colours[styles[i]];
    for (let c = 0; c < 3; c++) sums[4 * cell + c] += colour[c];
    sums[4 * cell + 3]++;
  }
  const full = fullOf(dims.map((number, cell) => number + sums[4 * cell + 3]));
  const tone = (number) => toneOf(number, full);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = cells;
  const ink = canvas.getContext('2d'), picture = ink.createImageData(cells, cells);
  for (let cell = 0; cell < dims.length; cell++) {
    const number = sums[4 * cell + 3];
    if (number === 0 && dims[cell] === 0) continue;
    for (let c = 0; c < 3; c++) {
      picture.data[4 * cell + c] = number > 0 ? sums[4 * cell + c] / number : theme.dim[c];
    }
    picture.data[4 * cell + 3] = 255 * (number > 0 ? tone(number) : 0.3 * tone(dims[cell]));
  }
  ink.putImageData(picture, 0, 0);
  density = canvas; densityVersion = styleVersion;
  return density;
}

function drawDensity(opacity) {
  pen.globalAlpha = opacity;
  pen.imageSmoothingQuality = 'medium';
  pen.drawImage(densityPicture(), toScreenX(0), toScreenY(0), view.scale, view.scale);
  pen.globalAlpha = 1;
  // A few that were searched for would drown in it.
  for (const point of few) {
    pen.fillStyle = colourOf(point);
    pen.beginPath();
    pen.arc(toScreenX(xs[point]), toScreenY(ys[point]), Math.max(3, dotSize() / 2), 0, 7);
    pen.fill();
  }
}
