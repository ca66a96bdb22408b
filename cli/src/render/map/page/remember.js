// The address remembers what is seen.

let remembering = 0, ready = false;

function remember() {
  if (!ready) return;
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const about = written({
      x: view.x, y: view.y, zoom: zoom(), query, groups: [...chosen],
      pinned: pinned >= 0 ? [itemOf[pinned], kinds[pinned]] : null,
      pictures: byId('pictures').checked,
      links: links.length > 0 ? byId('links').checked : null,
    });
    try { history.replaceState(null, '', '#' + about); } catch { /* Not allowed here: no matter. */ }
  }, 250);
}

function recall() {
  const about = readBack(location.hash.slice(1));
  setView(about.x, about.y, wholeScale * about.zoom);
  if (about.pictures !== null) byId('pictures').checked = about.pictures;
  if (about.links !== null) byId('links').checked = about.links;
  chosen.clear();
  for (const group of about.groups) {
    if (byId('legend').querySelector(`[data-group="${group}"]`)) chosen.add(group);
  }
  showChosen();
  const [item, kind] = about.pinned ?? [];
  if (item >= 0 && item < world.items && pointOf[item] !== NONE) {
    let point = pointOf[item];
    for (let p = nextOf[point]; p !== pointOf[item]; p = nextOf[p]) if (kinds[p] === kind) point = p;
    if (kinds[pointOf[item]] === kind) point = pointOf[item];
    pin(point);
  }
  byId('words').value = about.query;
  search(byId('words').value);
}
