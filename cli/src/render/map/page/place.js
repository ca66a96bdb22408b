// The points, unpacked once, by the names that all below use.

let points = null;
let count = 0;
let xs, ys, kinds, itemOf, categoryOf, links, pointOf, nextOf;
let places = null;

function unpack() {
  points = layOut(world);
  ({ count, xs, ys, kinds, itemOf, links, pointOf, nextOf } = points);
  categoryOf = world.categories ? new Uint16Array(bytes(world.categories).buffer) : null;
  if (world.thumbs) places = words(world.thumbs.places);
  world.positions = world.kinds = world.itemsOf = world.links = '';
}

const partners = (point) => partnersOf(points, point);
const eachRun = (left, top, right, bottom, visit) =>
  eachRunOf(points, [left, top, right, bottom], visit);
