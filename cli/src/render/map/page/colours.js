// The colours of the map. Pure.

/** Numbers of colours: from KIND on those of kinds, OTHER of what has no own; DIM is added. */
const DIM = 64, KIND = 16, OTHER = 12;

/** The red, green and blue of `#rrggbb`. */
const rgbOf = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

const css = (rgb, alpha = 1) => `rgb(${rgb.join(' ')} / ${alpha})`;

/** On a dark ground a colour that is too dark is mixed with white. */
function adapted(rgb, dark) {
  if (!dark) return rgb;
  const light = (0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]) / 255;
  const white = Math.max(0.08, Math.min(0.45, (0.62 - light) * 0.9));
  return rgb.map((v) => Math.round(v + (255 - v) * white));
}

/** The colours for a light or a dark ground. */
function themeOf({ palette, otherColour, kindColours, linkColour }, dark) {
  const adapt = (hex) => adapted(rgbOf(hex), dark);
  const colours = palette.map(adapt);
  colours[OTHER] = adapt(otherColour);
  kindColours.forEach((hex, i) => { colours[KIND + i] = adapt(hex); });
  for (let i = 0; i < 32; i++) colours[i] = colours[i] || colours[OTHER];
  return {
    dark, colours, link: adapt(linkColour),
    dim: dark ? [92, 94, 106] : [176, 177, 186],
    ground: dark ? '#131418' : '#fbfbfc', ink: dark ? '#ececf1' : '#1c1c20',
    accent: dark ? '#86adff' : '#2259c4',
  };
}
