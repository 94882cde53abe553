import { get, pages, Refusal } from '../api/client';
import type { Hint } from '../api/watch';
import { Reading } from './reading.svelte';
import { hearWhileShown } from './shown.svelte';

interface Row {
  id: string;
}

/** So many rows are read one by one; if more changed, the whole list is. */
const FEW = 20;

/** Which row a hint is about: its id, none, or any of them. */
export type Meant = (hint: Hint) => string | undefined | 'all';

/** A list of the broker's, whole, and as it was last known while it is read again. */
export class Rows<T extends Row> {
  items = $state.raw<T[]>([]);
  /** Whether all of it was read once. */
  isWhole = $state(false);
  reading = new Reading(() => this.#read());
  #path: string;
  #meant: Meant;
  /** What changed since it was read. */
  #changed: Set<string> | 'all' = 'all';

  constructor(path: string, meant: Meant) {
    this.#path = path;
    this.#meant = meant;
  }

  /** Keeps it as the broker has it for as long as the view is shown that calls this. What time alone changes is read so often. */
  whileShown(every?: number): void {
    hearWhileShown(this.reading, (hints) => this.#hear(hints), every);
  }

  /** Whether there is something to read again. */
  #hear(hints: Hint[] | 'all'): boolean {
    const ids = hints === 'all' ? ['all'] : hints.flatMap((hint) => this.#meant(hint) ?? []);
    if (ids.includes('all')) this.#changed = 'all';
    else if (this.#changed !== 'all') this.#changed = new Set([...this.#changed, ...ids]);
    return ids.length > 0;
  }

  async #read(): Promise<void> {
    // Nothing in particular: what time alone changes may be anywhere.
    const changed = this.#changed !== 'all' && this.#changed.size === 0 ? 'all' : this.#changed;
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
