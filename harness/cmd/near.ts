/** Names that are like one that does not exist, for error messages. */

/** At most three of `names`, the nearest first: those within a third of their letters (or two), or that contain the name. */
export function near(name: string, names: Iterable<string>): string[] {
  const found: [distance: number, name: string][] = [];
  for (const candidate of names) {
    const distance = edit_distance(name, candidate);
    const limit = Math.max(2, Math.floor(candidate.length / 3));
    if (distance <= limit) found.push([distance, candidate]);
    else if (name.length > 2 && candidate.includes(name)) found.push([limit + 1, candidate]);
  }
  found.sort(([a, left], [b, right]) => a - b || (left < right ? -1 : 1));
  return found.slice(0, 3).map(([, candidate]) => candidate);
}

/** Letters to insert, delete or change (Levenshtein). */
export function edit_distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
