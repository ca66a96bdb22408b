// A flight from one view to another. Pure.

/** The view after a `share` (0 to 1) of the time: fast at first, and still at the target. */
function flightAt(from, to, share) {
  const eased = 1 - (1 - share) ** 3;
  const scale = from.scale * (to.scale / from.scale) ** eased;
  // Moving by the share of the way that the scale has gone keeps the target still on the screen.
  const part = Math.abs(1 / to.scale - 1 / from.scale) * from.scale > 1e-3
    ? (1 / scale - 1 / from.scale) / (1 / to.scale - 1 / from.scale) : eased;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part, scale };
}
