// What lies under the pointer.

function pick(screenX, screenY, reach) {
  for (let s = seenBoxes.length - 4; s >= 0; s -= 4) {
    const [point, x, y, size] = seenBoxes.slice(s, s + 4);
    if (screenX >= x && screenX <= x + size && screenY >= y && screenY <= y + size) return point;
  }
  let best = -1, least = reach * reach;
  eachRun(toMapX(screenX - reach), toMapY(screenY - reach), toMapX(screenX + reach),
    toMapY(screenY + reach), (from, to) => {
      for (let i = from; i < to; i++) {
        const dx = toScreenX(xs[i]) - screenX, dy = toScreenY(ys[i]) - screenY;
        const distance = dx * dx + dy * dy;
        if (distance < least && isBright(i)) { least = distance; best = i; }
      }
    });
  return best;
}

function kindName(point) {
  return ['Picture', 'Text', 'Vector'][kinds[point]];
}

/** The picture of an item: its small one at once, the file itself when `full`. */
function pictureElement(item, full) {
  let point = -1;
  for (let p = pointOf[item], first = p; p !== NONE;) {
    if (hasThumb(p)) { point = p; break; }
    p = nextOf[p];
    if (p === first) break;
  }
  const address = imageOf(item);
  if (point < 0 && !(full && address)) return null;
  const holder = make('div', { class: 'picture' });
  const small = make('canvas', { width: '128', height: '128' });
  const paint = () => point >= 0 && paintThumb(small.getContext('2d'), point, 0, 0, 128);
  if (point >= 0) {
    holder.append(small);
    if (!paint()) {
      const again = setInterval(() => { if (paint() || !small.isConnected) clearInterval(again); }, 60);
    }
  }
  if (full && address) {
    const image = make('img', { alt: titleOf(item) });
    image.addEventListener('load', () => holder.replaceChildren(image));
    image.addEventListener('error', () => { if (point < 0) holder.remove(); });
    image.src = address;
  }
  return holder;
}

function fillCard(point, full) {
  const item = itemOf[point], title = titleOf(item), id = idOf(item);
  card.replaceChildren();
  if (full) {
    card.append(make('button', { class: 'close', type: 'button', 'aria-label': 'Close', text: '\u00d7',
      click: () => pin(-1) }));
  }
  const picture = pictureElement(item, full);
  if (picture) card.append(picture);
  card.append(make('h2', { text: title, dir: 'auto' }));
  const about = title === id ? kindName(point) : `${kindName(point)} \u00b7 ${id}`;
  card.append(make('p', {}, make('i', { colour: colourOf(point) }), about));
  if (categoryOf) {
    const value = world.legend.values[categoryOf[item]];
    if (value !== undefined) card.append(make('p', { text: `${world.legend.field}: ${value}`, dir: 'auto' }));
  }
  if (!full) return;
  const others = partners(point);
  if (others.length > 0) {
    const go = (other) => () => { pin(other); flyTo(other); };
    const entry = (other) => make('li', {}, make('button', { type: 'button', click: go(other) },
      make('i', { colour: colourOf(other) }),
      `${kindName(other)}: ${titleOf(itemOf[other])}`));
    card.append(make('h3', { text: others.length > 1 ? 'Partners' : 'Partner' }),
      make('ul', {}, ...others.map(entry)));
  }
  const address = imageOf(item);
  if (address) {
    card.append(make('a', { href: address, target: '_blank', rel: 'noopener', text: 'Open the picture' }));
  }
}

function hover(point, x, y) {
  if (point !== hovered) {
    hovered = point;
    over.classList.toggle('pointing', point >= 0);
    if (pinned < 0) {
      card.hidden = point < 0;
      if (point >= 0) fillCard(point, false);
    }
    redraw();
  }
  if (point >= 0 && pinned < 0) {
    const box = card.getBoundingClientRect();
    const left = x + 18 + box.width > width ? x - 18 - box.width : x + 18;
    card.style.left = `${Math.max(6, left)}px`;
    card.style.top = `${Math.max(6, Math.min(y + 14, height - box.height - 6))}px`;
  }
}

function pin(point) {
  pinned = point;
  card.classList.toggle('pinned', point >= 0);
  document.body.classList.toggle('pinned', point >= 0);
  card.hidden = point < 0;
  // What only passes under the pointer is not read out.
  card.setAttribute('aria-live', point >= 0 ? 'polite' : 'off');
  card.style.left = card.style.top = '';
  if (point >= 0) fillCard(point, true);
  remember();
  redraw();
}
