import { get, pages } from '../api/client';
import type { Hint } from '../api/watch';
import { Reading } from './reading.svelte';

interface Row {
  id: string;
}

/** So many rows are read one by one; if more changed, the whole list is. */
const FEW = 20;

/** A list of the broker's, whole, and as it was last known while it is read again. */
export class Rows<T extends Row> {
  items = $state.raw<T[]>([]);
  /** Whether all of it was read once. */
  isWhole = $state(false);
  reading = new Reading(() => this.#readAll());
  #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async #readAll(): Promise<void> {
    const read: T[] = [];
    await pages<T>(this.#path, {}, (items) => {
      read.push(...items);
      // The first time, what is there already is better than nothing.
      if (!this.isWhole) this.items = [...read];
    });
    this.items = read;
    this.isWhole = true;
  }

  /** Reads those of a kind again that hints name. */
  async hear(hints: Hint[] | 'all', kind: Hint['kind']): Promise<void> {
    if (hints === 'all') return this.reading.now();
    const ids = new Set(hints.flatMap((hint) => (hint.kind === kind && 'id' in hint ? [hint.id] : [])));
    if (ids.size === 0) return;
    if (ids.size > FEW || !this.isWhole) return this.reading.now();
    const found = await Promise.all([...ids].map((id) => this.#find(id)));
    const changed = new Map(found.flatMap((row) => (row ? [[row.id, row] as const] : [])));
    const kept = this.items.flatMap((row) => (ids.has(row.id) ? (changed.get(row.id) ?? []) : [row]));
    const known = new Set(kept.map((row) => row.id));
    this.items = [...kept, ...[...changed.values()].filter((row) => !known.has(row.id))];
  }

  async #find(id: string): Promise<T | undefined> {
    try {
      return await get<T>(`${this.#path}/${id}`);
    } catch {
      // It is gone, or will be read with all others.
      return undefined;
    }
  }
}
