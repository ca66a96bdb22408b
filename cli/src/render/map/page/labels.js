// Words beside dots.

function drawLabels(runs) {
  const candidates = [];
  for (let r = 0; r < runs.length && candidates.length <= 400; r += 2) {
    for (let i = runs[r]; i < runs[r + 1] && candidates.length <= 400; i++) {
      const x = toScreenX(xs[i]), y = toScreenY(ys[i]);
      if (kinds[i] === 0 || !isBright(i) || x < 0 || y < 0 || x > width || y > height) continue;
      candidates.push(i);
    }
  }
  const alpha = Math.min(1, (400 - candidates.length) / 150);
  if (alpha <= 0 || zoom() < 1.5) return;
  candidates.sort(byPriority);
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  pen.lineJoin = 'round';
  const boxes = [];
  for (let s = 0; s < seenBoxes.length; s += 4) {
    boxes.push([seenBoxes[s + 1], seenBoxes[s + 2], seenBoxes[s + 3], seenBoxes[s + 3]]);
  }
  for (const i of candidates) {
    const text = shortened(titleOf(itemOf[i]));
    const box = [toScreenX(xs[i]) + dotSize() / 2 + 3, toScreenY(ys[i]) - 8,
      pen.measureText(text).width + 6, 16];
    if (boxes.some((other) => overlap(box, other))) continue;
    boxes.push(box);
    pen.globalAlpha = alpha;
    pen.strokeStyle = theme.ground; pen.lineWidth = 3.5;
    pen.strokeText(text, box[0], box[1] + 8);
    pen.fillStyle = theme.ink;
    pen.fillText(text, box[0], box[1] + 8);
  }
  pen.globalAlpha = 1;
}
