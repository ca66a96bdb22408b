// Texts and what is searched in them. Pure.

/** The words of a query, all of which a title or id must hold. */
const wantedWords = (query) => query.toLowerCase().split(/\s+/).filter(Boolean);

function isMatch(wanted, title, id) {
  const here = `${title}\n${id}`.toLowerCase();
  return wanted.every((word) => here.includes(word));
}

/** A title cut where the searched words begin and end: `{ text, bold }`. */
function boldRuns(title, wanted) {
  const lower = title.toLowerCase(), out = [];
  // Letters whose lower case has another length would shift the marks.
  if (lower.length !== title.length) return [{ text: title, bold: false }];
  const marks = new Uint8Array(title.length);
  for (const word of wanted) {
    for (let at = lower.indexOf(word); at >= 0; at = lower.indexOf(word, at + 1)) {
      marks.fill(1, at, at + word.length);
    }
  }
  for (let from = 0, to = 0; from < title.length; from = to) {
    while (to < title.length && marks[to] === marks[from]) to++;
    out.push({ text: title.slice(from, to), bold: marks[from] === 1 });
  }
  return out;
}

/** At most 30 letters of a title. */
const shortened = (title) =>
  title.length > 30 ? title.slice(0, 28).trimEnd() + '\u2026' : title;

/** `1,234 items`. */
const many = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
