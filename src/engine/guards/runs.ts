/** Partial sums that follow each other and are summed up by themselves. */
export interface Run {
  readonly first: number;
  readonly count: number;
  /** Whether its first and last are beside what is counted for pieces: a head and a tail. */
  readonly ends?: boolean;
}

/** Cuts runs into pieces of a length that depends on how many places a run has. */
export function cutRuns(
  runs: readonly Run[],
  lengthOf: (count: number) => number,
): { readonly pieces: readonly Run[]; readonly of: readonly Run[] } {
  const pieces: Run[] = [];
  const of = runs.map(({ first, count, ends = false }) => {
    const start = pieces.length;
    const inner = count - (ends ? 2 : 0);
    const length = lengthOf(inner);
    const cuts = Math.max(1, Math.ceil(inner / length));
    for (let cut = 0; cut < cuts; cut += 1) {
      const from = cut === 0 ? first : first + Number(ends) + cut * length;
      const to = cut === cuts - 1 ? first + count : first + Number(ends) + (cut + 1) * length;
      pieces.push({ first: from, count: to - from });
    }
    return { first: start, count: pieces.length - start };
  });
  return { pieces, of };
}
