// What the page was told, and elements for it.

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
