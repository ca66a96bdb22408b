// Search.

const LISTED = 6;
let found = [], current = -1, searchNumber = 0, query = '';

/** Goes through all items in slices of a few milliseconds, so that typing stays smooth. */
async function search(text, then) {
  const number = ++searchNumber;
  query = text.trim();
  const wanted = wantedWords(query);
  if (wanted.length === 0) {
    matched = null; found = []; current = -1;
    listHits();
    restyle();
    return;
  }
  const hits = [], marks = new Uint8Array(world.items);
  let pause = performance.now() + 12;
  for (const block of texts) {
    for (let i = 0; i < block.ids.length; i++) {
      if (isMatch(wanted, block.titles[i], block.ids[i]) && pointOf[block.first + i] !== NONE) {
        hits.push(block.first + i);
        marks[block.first + i] = 1;
      }
      if ((i & 1023) === 1023 && performance.now() > pause) {
        await new Promise((resolve) => setTimeout(resolve));
        if (number !== searchNumber) return;
        pause = performance.now() + 12;
      }
    }
  }
  found = hits; current = -1; matched = marks;
  listHits();
  restyle();
  if (then) then();
}

function listHits() {
  const list = byId('hits'), first = Math.max(0, Math.min(current - 2, found.length - LISTED));
  list.hidden = found.length === 0;
  list.replaceChildren(...found.slice(first, first + LISTED).map((item, place) => {
    const button = make('button', { type: 'button', click: () => goToHit(first + place) },
      ...highlighted(titleOf(item)));
    if (first + place === current) button.setAttribute('aria-current', 'true');
    return make('li', { dir: 'auto' }, button);
  }));
  byId('found').textContent = query === '' ? '' : found.length === 0 ? 'Nothing found'
    : current < 0 ? `${many(found.length, 'item')} found, Enter goes to the first`
      : `${(current + 1).toLocaleString('en')} of ${many(found.length, 'item')}`;
}

/** The title with the searched words in bold. */
const highlighted = (title) => boldRuns(title, wantedWords(query))
  .map(({ text, bold }) => bold ? make('mark', { text }) : text);

function goToHit(place) {
  if (found.length === 0) return;
  current = (place + found.length) % found.length;
  const point = pointOf[found[current]];
  listHits();
  pin(point);
  flyTo(point);
}

function listenToSearch() {
  const words = byId('words');
  let wait = 0;
  words.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => search(words.value), 120);
  });
  byId('search').addEventListener('submit', (event) => event.preventDefault());
  words.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { words.value = ''; search(''); words.blur(); }
    if (event.key !== 'Enter') return;
    event.preventDefault();
    clearTimeout(wait);
    const step = event.shiftKey ? -1 : 1;
    const go = () => goToHit(current < 0 ? (step > 0 ? 0 : -1) : current + step);
    if (words.value.trim() !== query || matched === null) search(words.value, go);
    else go();
  });
}
