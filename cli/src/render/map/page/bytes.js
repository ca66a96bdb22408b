// Numbers as the page is given them. Pure.

/** The bytes behind a text in base 64. */
function bytes(base64) {
  const binary = atob(base64);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

/** The same as numbers of 32 bits, least byte first. */
const words = (base64) => new Uint32Array(bytes(base64).buffer);
