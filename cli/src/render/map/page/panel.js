// The panel.

function buildLegend() {
  const counts = new Map();
  for (let i = 0; i < count; i++) counts.set(groupOf(i), (counts.get(groupOf(i)) || 0) + 1);
  const names = categoryOf ? world.legend.values : KIND_NAMES;
  const groups = [...counts.keys()].sort((a, b) => a - b);
  const list = make('ul', {}, ...groups.map((group) => make('li', {},
    make('button', { type: 'button', 'aria-pressed': 'false', 'data-group': group,
      click: () => choose(group) },
    make('i', { colour: css(theme.colours[colourNumber(group)]) }),
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
