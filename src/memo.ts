/** What a map has under a key; made where there is nothing. */
export function memo<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: (key: K) => V,
): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make(key);
    map.set(key, value);
  }
  return value;
}

/** As {@link memo} of what is asked for again and again: beyond as many, what was not asked for longest is dropped. */
export function recent<K, V>(map: Map<K, V>, key: K, most: number, make: () => V): V {
  const value = memo(map, key, make);
  // The newest is the last.
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.size > most ? map.keys() : []) {
    map.delete(oldest);
    break;
  }
  return value;
}
