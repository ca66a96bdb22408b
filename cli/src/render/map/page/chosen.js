// Colours, groups, what is chosen.

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

/** Colours for the ground that this reader has chosen. */
function readTheme() {
  theme = themeOf(world, matchMedia('(prefers-color-scheme: dark)').matches);
}
const colourOf = (point) => css(theme.colours[colourNumber(groupOf(point))]);

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
