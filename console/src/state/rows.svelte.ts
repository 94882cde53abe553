import { get, pages, Refusal } from '../api/client';
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
  reading = new Reading(() => this.#read());
  #path: string;
  /** What changed since it was read. */
  #changed: Set<string> | 'all' = 'all';

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads all of it again. */
  all = (): void => {
    this.#changed = 'all';
    void this.reading.now();
  };

  /** Reads those of a kind again that hints name. */
  hear(hints: Hint[] | 'all', kind: Hint['kind']): void {
    if (hints === 'all') return this.all();
    const ids = hints.flatMap((hint) => (hint.kind === kind && 'id' in hint ? [hint.id] : []));
    if (ids.length === 0) return;
    if (this.#changed !== 'all') this.#changed = new Set([...this.#changed, ...ids]);
    void this.reading.now();
  }

  async #read(): Promise<void> {
    const changed = this.#changed;
    this.#changed = new Set();
    try {
      if (changed === 'all' || changed.size > FEW) await this.#readAll();
      else await this.#readSome(changed);
    } catch (error) {
      this.#changed = 'all';
      throw error;
    }
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

  async #readSome(ids: Set<string>): Promise<void> {
    const found = await Promise.all([...ids].map((id) => this.#find(id)));
    const changed = new Map(found.flatMap((row) => (row ? [[row.id, row] as const] : [])));
    const kept = this.items.flatMap((row) => (ids.has(row.id) ? (changed.get(row.id) ?? []) : [row]));
    const known = new Set(kept.map((row) => row.id));
    this.items = [...kept, ...[...changed.values()].filter((row) => !known.has(row.id))];
  }

  /** A row, if it is there. */
  async #find(id: string): Promise<T | undefined> {
    try {
      return await get<T>(`${this.#path}/${id}`);
    } catch (error) {
      if (error instanceof Refusal && error.code === 'not_found') return undefined;
      throw error;
    }
  }
}
