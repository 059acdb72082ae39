/** Orders strings as their UTF-8 forms are ordered, which is by code point and not, as `<` does, by UTF-16 unit. */
export function compareCodePoints(a: string, b: string): number {
  let index = 0;
  while (index < a.length && a[index] === b[index]) index++;
  const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
  if (Number.isNaN(left) || Number.isNaN(right)) return a.length - b.length;
  // Only a surrogate stands for a code point of 2^16 or more.
  const isSurrogate = (unit: number) => unit >= 0xd800 && unit < 0xe000;
  return Number(isSurrogate(left)) - Number(isSurrogate(right)) || left - right;
}
