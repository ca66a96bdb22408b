// What the address of the page says of the view. Pure.

/** The part behind `#`; `pinned` is `[item, kind]` or null, `links` null where there are none. */
function written({ x, y, zoom, query, groups, pinned, pictures, links }) {
  const about = new URLSearchParams();
  about.set('x', x.toFixed(5)); about.set('y', y.toFixed(5));
  about.set('z', zoom.toPrecision(4));
  if (query) about.set('q', query);
  if (groups.length > 0) about.set('c', groups.join(','));
  if (pinned) about.set('p', pinned.join('.'));
  if (!pictures) about.set('pictures', '0');
  if (links !== null) about.set('links', links ? '1' : '0');
  return about.toString();
}

/** The same back from an address that anybody may have written; null where it says nothing. */
function readBack(address) {
  const about = new URLSearchParams(address);
  const number = (name, other) => {
    const value = about.has(name) ? Number(about.get(name)) : NaN;
    return Number.isFinite(value) ? value : other;
  };
  const numbers = (name, between) => (about.get(name) || '').split(between)
    .map((word) => Number(word || NaN)).filter(Number.isInteger);
  const pinned = numbers('p', '.');
  return {
    x: number('x', 0.5), y: number('y', 0.5), zoom: number('z', 1),
    query: about.get('q') || '', groups: numbers('c', ','),
    pinned: pinned.length === 2 ? pinned : null,
    pictures: about.has('pictures') ? about.get('pictures') !== '0' : null,
    links: about.has('links') ? about.get('links') === '1' : null,
  };
}
