'use strict';
/* The map's page. `looksee.part` is called once for each part of the data, `looksee.start` when
   all of them have come. Texts of the catalogue reach the page as `textContent` only.

   Two canvases lie above each other. The lower one has links and dots, drawn by WebGL; where that
   is missing they are drawn on the upper one. The upper one has what needs pictures or letters.
   It is 2-D because a page from the disk may show pictures that lie beside it, but must not hand
   them to WebGL. All places are shares of the map's side, 0 to 1. */
const looksee = (() => {
  // ---- What the page was told --------------------------------------------------------------

  const NONE = 0xffffffff;
  let world = null;
  let sheetAddresses = [];
  const texts = [];

  function part(data) {
    if (data.positions !== undefined) world = data;
    else if (data.sheets !== undefined) sheetAddresses = data.sheets;
    else {
      const column = (name) => data[name].split('\n');
      texts.push({ first: data.first, ids: column('ids'), titles: column('titles'),
        images: column('images') });
    }
  }

  function bytes(base64) {
    const binary = atob(base64);
    const out = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
    return out;
  }
  const words = (base64) => new Uint32Array(bytes(base64).buffer);
  const byId = (name) => document.getElementById(name);

  /** An element with a text and children; nothing is ever parsed as markup. */
  function make(tag, about = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(about)) {
      if (name === 'text') element.textContent = value;
      else if (name === 'colour') element.style.background = value;
      else if (name === 'click') element.addEventListener('click', value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  function textOf(item, column) {
    const block = texts[Math.floor(item / texts[0].ids.length)];
    return block[column][item - block.first];
  }
  const idOf = (item) => textOf(item, 'ids');
  const titleOf = (item) => textOf(item, 'titles') || idOf(item);
  function imageOf(item) {
    const rest = textOf(item, 'images');
    return rest ? world.root + rest : null;
  }

  // ---- Points, in the order of the cells they lie in ---------------------------------------

  let count = 0;
  let xs, ys, kinds, itemOf, categoryOf;
  /** Cells of a side, and for each cell the place of its first point. */
  let side, firstOf;
  /** Partners: ends of all links, grouped by point. */
  let links, linkStart, linkEnds;
  /** For each item one of its points, for each point the next one of the same item, in a ring. */
  let pointOf, nextOf;
  let places = null;

  function unpack() {
    count = world.count;
    const raw = bytes(world.positions).buffer;
    const fine = world.bits === 32;
    const given = fine ? new Uint32Array(raw) : new Uint16Array(raw);
    const unit = fine ? 1 / 4294967295 : 1 / 65535;
    side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(count / 3))));
    const cell = (i) => {
      const column = Math.min(side - 1, Math.floor(given[2 * i] * unit * side));
      return Math.min(side - 1, Math.floor(given[2 * i + 1] * unit * side)) * side + column;
    };
    firstOf = new Uint32Array(side * side + 1);
    for (let i = 0; i < count; i++) firstOf[cell(i) + 1]++;
    for (let c = 0; c < side * side; c++) firstOf[c + 1] += firstOf[c];
    const next = firstOf.slice();
    const placeOf = new Uint32Array(count);
    for (let i = 0; i < count; i++) placeOf[i] = next[cell(i)]++;

    xs = new Float32Array(count); ys = new Float32Array(count);
    kinds = new Uint8Array(count); itemOf = new Uint32Array(count);
    const givenKinds = bytes(world.kinds);
    const givenItems = world.itemsOf === null ? null : words(world.itemsOf);
    for (let i = 0; i < count; i++) {
      const at = placeOf[i];
      xs[at] = given[2 * i] * unit; ys[at] = given[2 * i + 1] * unit;
      kinds[at] = givenKinds[i]; itemOf[at] = givenItems ? givenItems[i] : i;
    }
    categoryOf = world.categories ? new Uint16Array(bytes(world.categories).buffer) : null;
    if (world.thumbs) places = words(world.thumbs.places);
    links = words(world.links).map((end) => placeOf[end]);
    world.positions = world.kinds = world.itemsOf = world.links = '';
    unpackPartners();
  }

  function unpackPartners() {
    linkStart = new Uint32Array(count + 1);
    for (const end of links) linkStart[end + 1]++;
    for (let i = 0; i < count; i++) linkStart[i + 1] += linkStart[i];
    const next = linkStart.slice();
    linkEnds = new Uint32Array(links.length);
    for (let l = 0; l < links.length; l += 2) {
      linkEnds[next[links[l]]++] = links[l + 1];
      linkEnds[next[links[l + 1]]++] = links[l];
    }
    pointOf = new Uint32Array(world.items).fill(NONE);
    nextOf = new Uint32Array(count);
    for (let i = count - 1; i >= 0; i--) {
      const item = itemOf[i], head = pointOf[item];
      if (head === NONE) { nextOf[i] = i; pointOf[item] = i; continue; }
      nextOf[i] = nextOf[head]; nextOf[head] = i;
      if (kinds[i] === 0) pointOf[item] = i;
    }
  }

  /** Points that are linked with this one, and other points of its item. */
  function partners(point) {
    const found = new Set(linkEnds.subarray(linkStart[point], linkStart[point + 1]));
    for (let other = nextOf[point]; other !== point; other = nextOf[other]) found.add(other);
    found.delete(point);
    return [...found].slice(0, 50);
  }

  /** Calls `visit(from, to)` for runs of points in the cells that touch a rectangle. */
  function eachRun(left, top, right, bottom, visit) {
    const clamp = (v) => Math.max(0, Math.min(side - 1, Math.floor(v * side)));
    if (right < 0 || bottom < 0 || left > 1 || top > 1) return;
    const [c0, c1, r0, r1] = [clamp(left), clamp(right), clamp(top), clamp(bottom)];
    if (c0 === 0 && c1 === side - 1) {
      visit(firstOf[r0 * side], firstOf[(r1 + 1) * side]);
      return;
    }
    for (let row = r0; row <= r1; row++) {
      const from = firstOf[row * side + c0], to = firstOf[row * side + c1 + 1];
      if (to > from) visit(from, to);
    }
  }

  // ---- The view ------------------------------------------------------------------------------

  const over = byId('over'), dots = byId('dots'), panel = byId('panel'), card = byId('card');
  const pen = over.getContext('2d');
  let width = 1, height = 1, ratio = 1;
  /** Where the middle of the view lies on the screen: beside the panel. */
  let middleX = 0, middleY = 0;
  /** x, y: what lies in the middle; scale: pixels of the map's side. */
  const view = { x: 0.5, y: 0.5, scale: 1 };
  let wholeScale = 1, flight = null;
  const calm = matchMedia('(prefers-reduced-motion: reduce)');

  const toScreenX = (x) => (x - view.x) * view.scale + middleX;
  const toScreenY = (y) => (y - view.y) * view.scale + middleY;
  const toMapX = (x) => (x - middleX) / view.scale + view.x;
  const toMapY = (y) => (y - middleY) / view.scale + view.y;
  const zoom = () => view.scale / wholeScale;
  const narrow = () => innerWidth <= 700;

  function measure() {
    const before = zoom();
    width = innerWidth; height = innerHeight; ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [dots, over]) {
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    }
    const box = panel.getBoundingClientRect();
    const beside = !narrow() && !panel.classList.contains('folded');
    const left = beside ? box.right : 0;
    const top = narrow() ? Math.min(box.bottom, height * 0.3) : 0;
    middleX = (left + width) / 2; middleY = (top + height) / 2;
    wholeScale = Math.max(120, 0.92 * Math.min(width - left, height - top));
    view.scale = wholeScale * before;
    redraw();
  }

  function setView(x, y, scale) {
    view.scale = Math.max(wholeScale * 0.5, Math.min(scale, wholeScale * 4000, 6e6));
    movedAt = performance.now();
    view.x = Math.max(-0.1, Math.min(1.1, x)); view.y = Math.max(-0.1, Math.min(1.1, y));
    remember();
    redraw();
  }

  /** Zooms so that what lies under a place of the screen stays there. */
  function zoomAt(screenX, screenY, factor) {
    const x = toMapX(screenX), y = toMapY(screenY);
    const scale = Math.max(wholeScale * 0.5, Math.min(view.scale * factor, wholeScale * 4000, 6e6));
    setView(x - (screenX - middleX) / scale, y - (screenY - middleY) / scale, scale);
  }

  function fly(x, y, scale) {
    if (calm.matches) { setView(x, y, scale); return; }
    flight = { from: { ...view }, to: { x, y, scale }, start: performance.now(), time: 420 };
    redraw();
  }

  function stepFlight(now) {
    const share = Math.min(1, (now - flight.start) / flight.time);
    const eased = 1 - (1 - share) ** 3;
    const { from, to } = flight;
    const scale = from.scale * (to.scale / from.scale) ** eased;
    // Moving by the share of the way that the scale has gone keeps the target still on the screen.
    const part = Math.abs(1 / to.scale - 1 / from.scale) * from.scale > 1e-3
      ? (1 / scale - 1 / from.scale) / (1 / to.scale - 1 / from.scale) : eased;
    if (share === 1) flight = null;
    setView(from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part, scale);
  }

  function flyZoom(screenX, screenY, factor) {
    const scale = Math.max(wholeScale * 0.5, Math.min(view.scale * factor, wholeScale * 4000, 6e6));
    fly(toMapX(screenX) - (screenX - middleX) / scale, toMapY(screenY) - (screenY - middleY) / scale,
      scale);
  }
  const flyHome = () => fly(0.5, 0.5, wholeScale);

  function flyTo(point) {
    fly(xs[point], ys[point], Math.max(view.scale, Math.min(thumbScale * 1.5, wholeScale * 60)));
  }

  // ---- Colours, groups, what is chosen -------------------------------------------------------

  const DIM = 64, KIND = 16, OTHER = 12;
  const KIND_NAMES = ['pictures', 'texts', 'vectors'];
  const chosen = new Set();
  let matched = null;
  let styles, styleVersion = 0;
  let theme;

  const groupOf = (point) => categoryOf ? categoryOf[itemOf[point]] : kinds[point];
  function colourNumber(group) {
    if (!categoryOf) return KIND + group;
    return group < OTHER ? group : OTHER;
  }
  const isBright = (point) => styles[point] < DIM;
  const filtering = () => chosen.size > 0 || matched !== null;

  /** Colours for this ground: on a dark one, those that are too dark are mixed with white. */
  function readTheme() {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const number = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const adapt = (hex) => {
      const rgb = number(hex);
      if (!dark) return rgb;
      const light = (0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]) / 255;
      const white = Math.max(0.08, Math.min(0.45, (0.62 - light) * 0.9));
      return rgb.map((v) => Math.round(v + (255 - v) * white));
    };
    const colours = [];
    world.palette.forEach((hex, i) => { colours[i] = adapt(hex); });
    colours[OTHER] = adapt(world.otherColour);
    world.kindColours.forEach((hex, i) => { colours[KIND + i] = adapt(hex); });
    for (let i = 0; i < 32; i++) colours[i] = colours[i] || colours[OTHER];
    const css = (rgb, alpha = 1) => `rgb(${rgb.join(' ')} / ${alpha})`;
    theme = {
      dark, colours, css, link: adapt(world.linkColour),
      dim: dark ? [92, 94, 106] : [176, 177, 186],
      ground: dark ? '#131418' : '#fbfbfc', ink: dark ? '#ececf1' : '#1c1c20',
      accent: dark ? '#86adff' : '#2259c4',
    };
  }
  const colourOf = (point) => theme.css(theme.colours[colourNumber(groupOf(point))]);

  /** Those that are bright, when the others are dim and they are few. */
  let few = [];
  const FEW = 2000;

  function restyle() {
    few = [];
    for (let i = 0; i < count; i++) {
      const group = groupOf(i);
      const bright = (chosen.size === 0 || chosen.has(group))
        && (matched === null || matched[itemOf[i]] === 1);
      styles[i] = colourNumber(group) + (bright ? 0 : DIM);
      if (bright && few.length <= FEW) few.push(i);
    }
    if (few.length > FEW || !filtering()) few = [];
    hover(-1);
    styleVersion++;
    remember();
    redraw();
  }

  // ---- Dots and links by WebGL ---------------------------------------------------------------

  /** Above this many dots in view they are drawn as a density. */
  let dotLimit = 150000;
  let gl = null, dotProgram, linkProgram, dotBuffer, styleBuffer, linkBuffer, linkStyleBuffer;
  let uploaded = -1;

  const PLACE = `
    uniform vec2 middle, factor, shift;
    vec4 place(vec2 at) { return vec4((at - middle) * factor + shift, 0.0, 1.0); }`;
  const DOT_VERTEX = `
    precision highp float;
    attribute vec2 at; attribute float style;
    uniform float size, dimPass; uniform vec4 palette[32]; uniform vec4 dimColour;
    varying vec4 colour; varying float dotSize;
    ${PLACE}
    void main() {
      bool dim = style >= 64.0;
      gl_Position = dim == (dimPass > 0.5) ? place(at) : vec4(2.0, 2.0, 2.0, 1.0);
      dotSize = dim ? size * 0.85 : size;
      gl_PointSize = dotSize + 1.0;
      colour = dim ? dimColour : palette[int(mod(style, 64.0) + 0.5)];
    }`;
  const DOT_FRAGMENT = `
    precision mediump float;
    varying vec4 colour; varying float dotSize;
    void main() {
      float reach = length(gl_PointCoord - 0.5) * (dotSize + 1.0);
      float cover = clamp(dotSize * 0.5 + 0.5 - reach, 0.0, 1.0) * colour.a;
      gl_FragColor = vec4(colour.rgb * cover, cover);
    }`;
  const LINK_VERTEX = `
    precision highp float;
    attribute vec2 at; attribute float style;
    ${PLACE}
    void main() { gl_Position = style < 0.5 ? place(at) : vec4(2.0, 2.0, 2.0, 1.0); }`;
  const LINK_FRAGMENT = `
    precision mediump float;
    uniform vec4 colour;
    void main() { gl_FragColor = vec4(colour.rgb * colour.a, colour.a); }`;

  function program(vertex, fragment) {
    const made = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.bindAttribLocation(made, 0, 'at');
    gl.bindAttribLocation(made, 1, 'style');
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    const at = {};
    const names = ['middle', 'factor', 'shift', 'size', 'dimPass', 'palette', 'dimColour', 'colour'];
    for (const name of names) at[name] = gl.getUniformLocation(made, name);
    return { made, at };
  }

  function filled(data) {
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    return buffer;
  }

  function startGl() {
    try {
      // Dots have soft edges of their own; the smoothing is for links, where it costs little.
      gl = dots.getContext('webgl', { antialias: count <= 30000, premultipliedAlpha: true });
      if (!gl) return;
      dotProgram = program(DOT_VERTEX, DOT_FRAGMENT);
      linkProgram = program(LINK_VERTEX, LINK_FRAGMENT);
      const both = new Float32Array(2 * count);
      for (let i = 0; i < count; i++) { both[2 * i] = xs[i]; both[2 * i + 1] = ys[i]; }
      dotBuffer = filled(both);
      const ends = new Float32Array(2 * links.length);
      links.forEach((end, i) => { ends[2 * i] = xs[end]; ends[2 * i + 1] = ys[end]; });
      linkBuffer = filled(ends);
      styleBuffer = gl.createBuffer(); linkStyleBuffer = gl.createBuffer();
      uploaded = -1;
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    } catch (error) {
      console.warn('looksee: drawing without WebGL: ' + error.message);
      gl = null;
    }
  }

  function uploadStyles() {
    if (uploaded === styleVersion) return;
    gl.bindBuffer(gl.ARRAY_BUFFER, styleBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, styles, gl.DYNAMIC_DRAW);
    const hidden = new Uint8Array(links.length);
    for (let l = 0; l < links.length; l += 2) {
      hidden[l] = hidden[l + 1] = isBright(links[l]) && isBright(links[l + 1]) ? 0 : 1;
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, linkStyleBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, hidden, gl.DYNAMIC_DRAW);
    uploaded = styleVersion;
  }

  function useProgram({ made, at }, placesBuffer, stylesBuffer, thinned) {
    gl.useProgram(made);
    gl.bindBuffer(gl.ARRAY_BUFFER, placesBuffer);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 8 * thinned, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, stylesBuffer);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribPointer(1, 1, gl.UNSIGNED_BYTE, false, thinned, 0);
    gl.uniform2f(at.middle, view.x, view.y);
    gl.uniform2f(at.factor, 2 * view.scale / width, -2 * view.scale / height);
    gl.uniform2f(at.shift, 2 * middleX / width - 1, 1 - 2 * middleY / height);
  }

  /** Pixels of a dot's width: larger when they are few and when one is near. */
  function dotSize() {
    const crowd = Math.max(0.45, Math.min(2.2, (20000 / Math.max(1, count)) ** 0.28));
    const screen = Math.min(1, wholeScale / 700) ** 0.4;
    return Math.max(1.5, Math.min(11, 3.3 * crowd * screen * zoom() ** 0.28));
  }

  /** Dots are paler where many lie on each other, and solid from near. */
  function dotOpacity() {
    return Math.max(0.35, Math.min(0.92, 0.85 * (20000 / Math.max(1, count)) ** 0.16
      * zoom() ** 0.25));
  }

  function linkOpacity() {
    const few = (1000 / Math.max(1000, links.length / 2)) ** 0.4;
    return Math.min(0.8, 0.7 * few * zoom() ** 0.3);
  }

  function drawGl(runs, opacity, thinned) {
    gl.viewport(0, 0, dots.width, dots.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    uploadStyles();
    if (byId('links').checked && links.length > 0) {
      useProgram(linkProgram, linkBuffer, linkStyleBuffer, 1);
      const [r, g, b] = theme.link;
      gl.uniform4f(linkProgram.at.colour, r / 255, g / 255, b / 255, linkOpacity());
      gl.drawArrays(gl.LINES, 0, links.length);
    }
    if (opacity <= 0) return;
    useProgram(dotProgram, dotBuffer, styleBuffer, thinned);
    const { at } = dotProgram;
    const alpha = dotOpacity() * opacity;
    const [r, g, b] = theme.dim;
    gl.uniform4f(at.dimColour, r / 255, g / 255, b / 255, 0.32 * opacity);
    gl.uniform4fv(at.palette, theme.colours.flatMap((c) => [...c.map((v) => v / 255), alpha]));
    gl.uniform1f(at.size, dotSize() * ratio * thinned ** 0.2);
    for (const pass of filtering() ? [1, 0] : [0]) {
      gl.uniform1f(at.dimPass, pass);
      for (let r = 0; r < runs.length; r += 2) {
        const first = Math.ceil(runs[r] / thinned), end = Math.ceil(runs[r + 1] / thinned);
        if (end > first) gl.drawArrays(gl.POINTS, first, end - first);
      }
    }
  }

  /** The same without WebGL, on the upper canvas. */
  function drawPlain(runs, opacity) {
    if (byId('links').checked) {
      pen.strokeStyle = theme.css(theme.link, Math.max(0.12, linkOpacity()));
      pen.lineWidth = 1;
      pen.beginPath();
      const step = 2 * Math.max(1, Math.ceil(links.length / 2 / 6000));
      for (let l = 0; l < links.length; l += step) {
        if (!isBright(links[l]) || !isBright(links[l + 1])) continue;
        pen.moveTo(toScreenX(xs[links[l]]), toScreenY(ys[links[l]]));
        pen.lineTo(toScreenX(xs[links[l + 1]]), toScreenY(ys[links[l + 1]]));
      }
      pen.stroke();
    }
    if (opacity <= 0) return;
    const size = dotSize(), colours = theme.colours.map((c) => theme.css(c));
    for (const pass of filtering() ? [DIM, 0] : [0]) {
      pen.globalAlpha = opacity * (pass === DIM ? 0.32 : dotOpacity());
      for (let r = 0; r < runs.length; r += 2) {
        for (let i = runs[r]; i < runs[r + 1]; i++) {
          if ((styles[i] & DIM) !== pass) continue;
          pen.fillStyle = pass === DIM ? theme.css(theme.dim) : colours[styles[i]];
          pen.beginPath();
          pen.arc(toScreenX(xs[i]), toScreenY(ys[i]), size / 2, 0, 7);
          pen.fill();
        }
      }
    }
    pen.globalAlpha = 1;
  }

  // ---- The density, for more dots than can be told apart -------------------------------------

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
    // The tone: a logarithm, full at what only one in seventy of the used squares exceeds.
    const used = new Float32Array(cells * cells);
    let squares = 0;
    for (let cell = 0; cell < dims.length; cell++) {
      const all = dims[cell] + sums[4 * cell + 3];
      if (all > 0) used[squares++] = all;
    }
    used.subarray(0, squares).sort();
    const full = Math.log1p(Math.max(1, used[Math.floor(squares * 0.985)] || 1));
    const tone = (number) => number === 0 ? 0 : Math.min(1, 0.1 + 0.9 * Math.log1p(number) / full);
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

  // ---- Small pictures --------------------------------------------------------------------------

  const SHEETS_HELD = 96;
  const sheets = new Map();
  /** The scale from which on most pictures have room. */
  let thumbScale = Infinity;
  /** Pictures that are seen, and how much of each. */
  const seen = new Map();
  let seenBoxes = [];

  /** A sheet that has come, or nothing; asks for it. The least recently used ones are let go. */
  function sheet(number) {
    let entry = sheets.get(number);
    if (entry) sheets.delete(number);
    else {
      entry = { image: new Image(), ready: false };
      entry.image.src = sheetAddresses[number];
      // Decoded beside the frames, not in one of them.
      entry.image.decode().then(() => { entry.ready = true; redraw(); }, () => {});
      if (sheets.size >= SHEETS_HELD) sheets.delete(sheets.keys().next().value);
    }
    sheets.set(number, entry);
    return entry.ready ? entry.image : null;
  }

  const hasThumb = (point) => places !== null && kinds[point] !== 1 && places[itemOf[point]] !== NONE;

  function paintThumb(target, point, x, y, size) {
    const { side: px, across } = world.thumbs;
    const place = places[itemOf[point]], each = across * across;
    const image = sheet(Math.floor(place / each));
    if (!image) return false;
    const inside = place % each;
    target.drawImage(image, (inside % across) * px, Math.floor(inside / across) * px, px, px,
      x, y, size, size);
    return true;
  }

  /** The coarsest grid of which the pictures fill so many cells that they must lie side by side. */
  function findThumbScale() {
    if (!places) return;
    const own = [];
    for (let i = 0; i < count; i++) if (hasThumb(i)) own.push(i);
    if (own.length === 0) return;
    for (let level = 0; level <= 11; level++) {
      const cells = 1 << level, used = new Uint8Array(cells * cells);
      let full = 0;
      for (const i of own) {
        const at = Math.min(cells - 1, Math.floor(ys[i] * cells)) * cells
          + Math.min(cells - 1, Math.floor(xs[i] * cells));
        if (!used[at]) { used[at] = 1; full++; }
      }
      thumbScale = cells * 52;
      if (full >= 0.3 * own.length) return;
    }
  }

  const thumbSize = () =>
    Math.max(40, Math.min(world.thumbs.side * 1.4, 128, 52 * Math.sqrt(view.scale / thumbScale)));
  const priority = (point) => Math.imul(point + 1, 2654435761) >>> 0;

  /** Which pictures have room: the first of a fixed order come first, and none covers another. */
  function chooseThumbs(size) {
    const reach = size * 0.86, room = size;
    const candidates = [];
    eachRun(toMapX(-room), toMapY(-room), toMapX(width + room), toMapY(height + room), (from, to) => {
      for (let i = from; i < to && candidates.length < 12000; i++) {
        if (hasThumb(i) && isBright(i)) candidates.push(i);
      }
    });
    candidates.sort((a, b) => priority(a) - priority(b));
    const taken = new Map(), chosenOnes = [];
    for (const i of candidates) {
      const x = xs[i] * view.scale, y = ys[i] * view.scale;
      const column = Math.floor(x / reach), row = Math.floor(y / reach);
      let free = true;
      for (let r = row - 1; r <= row + 1 && free; r++) {
        for (let c = column - 1; c <= column + 1 && free; c++) {
          const other = taken.get(r * 8388608 + c);
          if (other !== undefined && Math.abs(xs[other] * view.scale - x) < reach
            && Math.abs(ys[other] * view.scale - y) < reach) free = false;
        }
      }
      if (free) { taken.set(row * 8388608 + column, i); chosenOnes.push(i); }
    }
    return chosenOnes;
  }

  function drawThumbs(step) {
    seenBoxes = [];
    const near = places !== null && byId('pictures').checked && view.scale > 0.6 * thumbScale;
    if (!near && seen.size === 0) return;
    const size = thumbSize(), now = new Set(near ? chooseThumbs(size) : []);
    for (const point of now) if (!seen.has(point)) seen.set(point, 0);
    let moving = false;
    for (const [point, alpha] of seen) {
      const goal = now.has(point) ? 1 : 0;
      const next = goal > alpha ? Math.min(goal, alpha + step) : Math.max(goal, alpha - step);
      if (next === 0 && goal === 0) { seen.delete(point); continue; }
      const x = toScreenX(xs[point]) - size / 2, y = toScreenY(ys[point]) - size / 2;
      if (x > width || y > height || x < -size || y < -size) {
        if (goal === 0) seen.delete(point);
        continue;
      }
      pen.globalAlpha = next;
      if (!paintThumb(pen, point, x, y, size)) continue;
      seen.set(point, next);
      if (next !== goal) moving = true;
      pen.strokeStyle = colourOf(point);
      pen.lineWidth = 1.5;
      pen.strokeRect(x - 0.25, y - 0.25, size + 0.5, size + 0.5);
      seenBoxes.push(point, x, y, size);
    }
    pen.globalAlpha = 1;
    if (moving) redraw();
  }

  // ---- Words beside dots -----------------------------------------------------------------------

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
    candidates.sort((a, b) => priority(a) - priority(b));
    pen.font = '12px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    pen.lineJoin = 'round';
    const boxes = [];
    for (let s = 0; s < seenBoxes.length; s += 4) {
      boxes.push([seenBoxes[s + 1], seenBoxes[s + 2], seenBoxes[s + 3], seenBoxes[s + 3]]);
    }
    for (const i of candidates) {
      const title = titleOf(itemOf[i]);
      const text = title.length > 30 ? title.slice(0, 28).trimEnd() + '\u2026' : title;
      const box = [toScreenX(xs[i]) + dotSize() / 2 + 3, toScreenY(ys[i]) - 8,
        pen.measureText(text).width + 6, 16];
      const hit = ([x, y, w, h]) => box[0] < x + w && x < box[0] + box[2]
        && box[1] < y + h && y < box[1] + box[3];
      if (boxes.some(hit)) continue;
      boxes.push(box);
      pen.globalAlpha = alpha;
      pen.strokeStyle = theme.ground; pen.lineWidth = 3.5;
      pen.strokeText(text, box[0], box[1] + 8);
      pen.fillStyle = theme.ink;
      pen.fillText(text, box[0], box[1] + 8);
    }
    pen.globalAlpha = 1;
  }

  // ---- One frame -------------------------------------------------------------------------------

  let asked = false, lastFrame = 0, hovered = -1, pinned = -1;
  /** While the view moves on a slow machine only each so many-th dot is drawn; at rest, all. */
  let thin = 1, pace = 16, movedAt = 0, settling = 0;
  const THINNEST = 16, ENOUGH_DOTS = 12000, SLOW_MS = 36, FAST_MS = 20;

  /** Learns from the time between the frames of one movement how many dots this machine bears. */
  function watchPace(now, inView) {
    const moving = now - movedAt < 120;
    if (!moving) return 1;
    const gap = now - lastFrame;
    if (gap < 500) pace = 0.6 * pace + 0.4 * gap;
    if (pace > SLOW_MS && inView / thin > ENOUGH_DOTS && thin < THINNEST) { thin++; pace = SLOW_MS; }
    else if (pace < FAST_MS && thin > 1) { thin--; pace = SLOW_MS; }
    clearTimeout(settling);
    settling = setTimeout(redraw, 180);
    return Math.max(1, Math.min(thin, Math.floor(inView / ENOUGH_DOTS)));
  }

  function redraw() {
    if (asked || !styles) return;
    asked = true;
    requestAnimationFrame(frame);
  }

  function frame(now) {
    asked = false;
    const step = Math.min(1, (now - lastFrame > 200 ? 16 : now - lastFrame) / 160);
    if (flight) stepFlight(now);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const runs = [];
    let inView = 0;
    const edge = 12;
    eachRun(toMapX(-edge), toMapY(-edge), toMapX(width + edge), toMapY(height + edge), (from, to) => {
      runs.push(from, to);
      inView += to - from;
    });
    // Between half of the limit and the limit, the density turns into dots.
    const dense = Math.max(0, Math.min(1, 2 * inView / dotLimit - 1));
    if (dense > 0) drawDensity(dense);
    const thinned = watchPace(now, inView);
    lastFrame = now;
    if (gl) drawGl(runs, 1 - dense, thinned);
    else drawPlain(runs, 1 - dense);
    drawThumbs(step);
    if (dense === 0) drawLabels(runs);
    if (hovered >= 0) drawMarked(hovered);
    if (pinned >= 0 && pinned !== hovered) drawMarked(pinned);
    over.dataset.frames = Number(over.dataset.frames || 0) + 1;
  }

  /** A ring around a point, lines to its partners, its picture above the others. */
  function drawMarked(point) {
    const x = toScreenX(xs[point]), y = toScreenY(ys[point]);
    pen.strokeStyle = theme.css(theme.link, 0.95);
    pen.lineWidth = 1.75;
    for (const other of partners(point)) {
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(toScreenX(xs[other]), toScreenY(ys[other]));
      pen.stroke();
      ring(other, dotSize() / 2 + 2.5);
    }
    if (seen.has(point)) {
      const size = thumbSize() * 1.06;
      if (paintThumb(pen, point, x - size / 2, y - size / 2, size)) {
        pen.strokeStyle = theme.accent;
        pen.lineWidth = 2.5;
        pen.strokeRect(x - size / 2, y - size / 2, size, size);
        return;
      }
    }
    ring(point, dotSize() / 2 + 4);
  }

  function ring(point, radius) {
    const x = toScreenX(xs[point]), y = toScreenY(ys[point]);
    pen.fillStyle = colourOf(point);
    pen.beginPath(); pen.arc(x, y, dotSize() / 2, 0, 7); pen.fill();
    pen.strokeStyle = theme.ink;
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.stroke();
  }

  // ---- What lies under the pointer -------------------------------------------------------------

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

  // ---- Mouse, fingers, keys --------------------------------------------------------------------

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

  // ---- Search ------------------------------------------------------------------------------------

  const LISTED = 6;
  let found = [], current = -1, searchNumber = 0, query = '';

  /** Goes through all items in slices of a few milliseconds, so that typing stays smooth. */
  async function search(text, then) {
    const number = ++searchNumber;
    query = text.trim();
    const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
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
        const here = `${block.titles[i]}\n${block.ids[i]}`.toLowerCase();
        if (wanted.every((word) => here.includes(word)) && pointOf[block.first + i] !== NONE) {
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

  const many = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

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
  function highlighted(title) {
    const lower = title.toLowerCase(), out = [];
    // Letters whose lower case has another length would shift the marks.
    if (lower.length !== title.length) return [title];
    const bold = new Uint8Array(title.length);
    for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
      for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + 1)) {
        bold.fill(1, at, at + word.length);
      }
    }
    for (let from = 0, to = 0; from < title.length; from = to) {
      while (to < title.length && bold[to] === bold[from]) to++;
      out.push(bold[from] ? make('mark', { text: title.slice(from, to) }) : title.slice(from, to));
    }
    return out;
  }

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

  // ---- The panel ---------------------------------------------------------------------------------

  function buildLegend() {
    const counts = new Map();
    for (let i = 0; i < count; i++) counts.set(groupOf(i), (counts.get(groupOf(i)) || 0) + 1);
    const names = categoryOf ? world.legend.values : KIND_NAMES;
    const groups = [...counts.keys()].sort((a, b) => a - b);
    const list = make('ul', {}, ...groups.map((group) => make('li', {},
      make('button', { type: 'button', 'aria-pressed': 'false', 'data-group': group,
        click: () => choose(group) },
      make('i', { colour: theme.css(theme.colours[colourNumber(group)]) }),
      make('span', { class: 'name', text: names[group] ?? 'none' }),
      make('span', { class: 'count', text: counts.get(group).toLocaleString('en') })))));
    const clear = make('button', { type: 'button', id: 'clear', text: 'show all',
      click: () => { chosen.clear(); showChosen(); } });
    const heading = make('h2', {}, make('span', { text: categoryOf ? world.legend.field : 'Kinds' }), clear);
    byId('legend').replaceChildren(heading, list);
    showChosen();
  }

  function choose(group) {
    if (!chosen.delete(group)) chosen.add(group);
    showChosen();
    if (chosen.size > 0 && !anyBrightInView()) flyHome();
  }

  function anyBrightInView() {
    let any = false;
    eachRun(toMapX(0), toMapY(0), toMapX(width), toMapY(height), (from, to) => {
      for (let i = from; i < to && !any; i++) any = isBright(i);
    });
    return any;
  }

  function showChosen() {
    const list = byId('legend').querySelector('ul');
    list.classList.toggle('choosing', chosen.size > 0);
    byId('clear').hidden = chosen.size === 0;
    for (const button of list.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(chosen.has(Number(button.dataset.group))));
    }
    restyle();
  }

  function listenToPanel() {
    const fold = (folded) => {
      panel.classList.toggle('folded', folded);
      byId('fold').setAttribute('aria-expanded', String(!folded));
      // On a narrow screen there is room for one of them.
      if (!folded && narrow()) pin(-1);
      measure();
    };
    byId('fold').addEventListener('click', () => fold(!panel.classList.contains('folded')));
    if (narrow()) fold(true);
    byId('with-pictures').hidden = !places;
    byId('with-links').hidden = links.length === 0;
    byId('switches').hidden = !places && links.length === 0;
    byId('links').checked = links.length > 0 && links.length <= 60000;
    for (const name of ['pictures', 'links']) {
      byId(name).addEventListener('change', () => { remember(); redraw(); });
    }
  }

  // ---- The address remembers what is seen ---------------------------------------------------------

  let remembering = 0, ready = false;

  function remember() {
    if (!ready) return;
    clearTimeout(remembering);
    remembering = setTimeout(() => {
      const about = new URLSearchParams();
      about.set('x', view.x.toFixed(5)); about.set('y', view.y.toFixed(5));
      about.set('z', zoom().toPrecision(4));
      if (query) about.set('q', query);
      if (chosen.size > 0) about.set('c', [...chosen].join(','));
      if (pinned >= 0) about.set('p', `${itemOf[pinned]}.${kinds[pinned]}`);
      if (!byId('pictures').checked) about.set('pictures', '0');
      if (links.length > 0) about.set('links', byId('links').checked ? '1' : '0');
      try { history.replaceState(null, '', '#' + about); } catch { /* Not allowed here: no matter. */ }
    }, 250);
  }

  function recall() {
    const about = new URLSearchParams(location.hash.slice(1));
    const number = (name, other) => {
      const value = about.has(name) ? Number(about.get(name)) : NaN;
      return Number.isFinite(value) ? value : other;
    };
    setView(number('x', 0.5), number('y', 0.5), wholeScale * number('z', 1));
    if (about.has('pictures')) byId('pictures').checked = about.get('pictures') !== '0';
    if (about.has('links')) byId('links').checked = about.get('links') === '1';
    chosen.clear();
    for (const group of (about.get('c') || '').split(',')) {
      if (byId('legend').querySelector(`[data-group="${Number(group || NaN)}"]`)) chosen.add(Number(group));
    }
    showChosen();
    const [item, kind] = (about.get('p') || '').split('.').map(Number);
    if (about.has('p') && item >= 0 && item < world.items && pointOf[item] !== NONE) {
      let point = pointOf[item];
      for (let p = nextOf[point]; p !== pointOf[item]; p = nextOf[p]) if (kinds[p] === kind) point = p;
      if (kinds[pointOf[item]] === kind) point = pointOf[item];
      pin(point);
    }
    byId('words').value = about.get('q') || '';
    search(byId('words').value);
  }

  // ---- Start ------------------------------------------------------------------------------------

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

  return { part, start };
})();
