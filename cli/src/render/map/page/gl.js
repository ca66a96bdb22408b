// Dots and links by WebGL.

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

const dotSize = () => dotSizeOf(count, wholeScale, zoom());
const dotOpacity = () => dotOpacityOf(count, zoom());
const linkOpacity = () => linkOpacityOf(links.length / 2, zoom());

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
