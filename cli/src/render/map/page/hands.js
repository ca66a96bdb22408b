// Mouse, fingers, keys.

const fingers = new Map();
let travelled = 0, spread = 0;

function pinch() {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, spread: Math.hypot(a.x - b.x, a.y - b.y) };
}

function listenToPointer() {
  over.addEventListener('pointerdown', (event) => {
    over.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    flight = null;
    if (fingers.size === 1) travelled = 0;
    if (fingers.size === 2) { spread = pinch().spread; travelled = 100; }
    hover(-1);
  });
  over.addEventListener('pointermove', (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) {
      if (event.pointerType === 'mouse') {
        hover(pick(event.clientX, event.clientY, 10), event.clientX, event.clientY);
      }
      return;
    }
    const before = fingers.size === 2 ? pinch() : { x: finger.x, y: finger.y };
    finger.x = event.clientX; finger.y = event.clientY;
    const after = fingers.size === 2 ? pinch() : finger;
    const dx = after.x - before.x, dy = after.y - before.y;
    travelled += Math.hypot(dx, dy);
    if (travelled < 4) { finger.x = before.x; finger.y = before.y; return; }
    over.classList.add('moving');
    setView(view.x - dx / view.scale, view.y - dy / view.scale, view.scale);
    if (fingers.size === 2 && spread > 0) {
      zoomAt(after.x, after.y, after.spread / spread);
      spread = after.spread;
    }
  });
  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size === 0) over.classList.remove('moving');
    if (event.type === 'pointerup' && fingers.size === 0 && travelled < 4) {
      const reach = event.pointerType === 'mouse' ? 10 : 22;
      pin(pick(event.clientX, event.clientY, reach));
    }
  };
  over.addEventListener('pointerup', lift);
  over.addEventListener('pointercancel', lift);
  over.addEventListener('pointerleave', () => hover(-1));
  over.addEventListener('dblclick', (event) => flyZoom(event.clientX, event.clientY, 2.5));
  over.addEventListener('wheel', (event) => {
    event.preventDefault();
    flight = null;
    const pixels = event.deltaY * [1, 18, 400][event.deltaMode];
    const speed = event.ctrlKey ? 0.01 : 0.0016;
    zoomAt(event.clientX, event.clientY, Math.exp(-Math.max(-400, Math.min(400, pixels)) * speed));
    hover(pick(event.clientX, event.clientY, 10), event.clientX, event.clientY);
  }, { passive: false });
}

function listenToKeys() {
  const step = () => 90 / view.scale;
  const keys = {
    '+': () => flyZoom(middleX, middleY, 1.8), '=': () => flyZoom(middleX, middleY, 1.8),
    '-': () => flyZoom(middleX, middleY, 1 / 1.8), '0': flyHome,
    ArrowLeft: () => setView(view.x - step(), view.y, view.scale),
    ArrowRight: () => setView(view.x + step(), view.y, view.scale),
    ArrowUp: () => setView(view.x, view.y - step(), view.scale),
    ArrowDown: () => setView(view.x, view.y + step(), view.scale),
    '/': () => byId('words').focus(),
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { pin(-1); hover(-1); return; }
    const busy = /^(INPUT|BUTTON|A)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.tagName === 'INPUT' && event.target.type === 'search') return;
    if (event.key === 'Enter' && !busy) { pin(pick(middleX, middleY, 400)); return; }
    if (event.key.startsWith('Arrow') && !busy) event.preventDefault();
    if (keys[event.key] && !(busy && event.key.startsWith('Arrow'))) {
      if (event.key === '/') event.preventDefault();
      keys[event.key]();
    }
  });
  byId('nearer').addEventListener('click', keys['+']);
  byId('farther').addEventListener('click', keys['-']);
  byId('all').addEventListener('click', flyHome);
}
