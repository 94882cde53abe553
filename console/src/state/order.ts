const collator = new Intl.Collator('en', { numeric: true });

/** The order of names as people expect it: 2 before 10. */
export function byName(a: string, b: string): number {
  return collator.compare(a, b);
}
