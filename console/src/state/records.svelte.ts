import { untrack } from 'svelte';
import { get } from '../api/client';
import type { Hint } from '../api/watch';
import { address } from './address.svelte';
import { Reading } from './reading.svelte';
import { whileShown } from './shown.svelte';

interface Page<T> {
  items: T[];
  next?: string | null;
}

/** What was recorded, a page at a time, the newest first. The question stands in the address, and so does what is older than the page. */
export class Records<T> {
  items = $state.raw<T[]>();
  /** Where older ones begin, if there are any. */
  next = $state<string>();
  reading: Reading;
  #question: Record<string, string | undefined>;
  #asked: string;

  /** `names` are those of the address that filter. */
  constructor(path: string, names: string[], limit: number) {
    const said = (name: string) => address.query.get(name) || undefined;
    this.#question = $derived({ ...Object.fromEntries(names.map((name) => [name, said(name)])), cursor: said('before') });
    this.#asked = $derived(JSON.stringify(this.#question));
    this.reading = new Reading(async () => {
      const question = this.#asked;
      const page = await get<Page<T>>(path, { ...this.#question, limit });
      // What was answered to another question is not shown under this one.
      if (question === this.#asked) [this.items, this.next] = [page.items, page.next ?? undefined];
    });
  }

  /** What a filter is set to. */
  of(name: string): string | undefined {
    return this.#question[name];
  }

  /** Sets a filter, and begins with the newest. */
  only(name: string, value: string): void {
    address.say('before', '');
    address.say(name, value);
  }

  /** Keeps the newest page as the broker has it for as long as the view is shown that calls this. What is older does not change. */
  whileShown(concerns: (hint: Hint) => boolean, every?: number): void {
    whileShown(this.reading, (hint) => this.of('cursor') === undefined && concerns(hint), every);
    $effect(() => {
      void this.#asked;
      untrack(this.reading.again);
    });
  }
}
