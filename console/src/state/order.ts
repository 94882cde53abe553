/** What sorts names as people expect it: 2 before 10. Comparing it is much cheaper than comparing the names by a language's rules. */
function natural(name: string): string {
  return name.replace(/\d+/g, (digits) => digits.padStart(12, '0'));
}

/** Rows by rank, and those of one rank by name. */
export function inOrder<T>(rows: readonly T[], name: (row: T) => string, rank: (row: T) => number = () => 0): T[] {
  const keyed = rows.map((row) => ({ row, rank: rank(row), key: natural(name(row)) }));
  keyed.sort((a, b) => a.rank - b.rank || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ row }) => row);
}
