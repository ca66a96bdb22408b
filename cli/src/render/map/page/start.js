// Start.

function start() {
  // After the first picture of the page, so that it says that it is reading.
  requestAnimationFrame(() => setTimeout(() => {
    if (!world) {
      byId('wait').textContent = 'The files of this map are missing; they belong into the folder beside it.';
      return;
    }
    unpack();
    readTheme();
    styles = new Uint8Array(count);
    startGl();
    if (!gl) dotLimit = 15000;
    findThumbScale();
    listenToPointer(); listenToKeys(); listenToSearch(); listenToPanel();
    buildLegend();
    measure();
    recall();
    ready = true;
    byId('wait').hidden = true;
    addEventListener('resize', measure);
    addEventListener('hashchange', recall);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      readTheme();
      buildLegend();
    });
    dots.addEventListener('webglcontextlost', (event) => event.preventDefault());
    dots.addEventListener('webglcontextrestored', () => { startGl(); redraw(); });
  }));
}
