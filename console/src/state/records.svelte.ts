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
  reading: Reading;
  #said: (name: string) => string | undefined;
  #question: Record<string, string | undefined>;
  #asked: string;
  #answer = $state.raw<{ asked: string; page: Page<T> }>();
  #isAnswered: boolean;

  /** `names` are those of the address that filter. */
  constructor(path: string, names: string[], limit: number) {
    this.#said = (name) => address.query.get(name) || undefined;
    this.#question = $derived({ ...Object.fromEntries(names.map((name) => [name, this.#said(name)])), cursor: this.#said('before') });
    this.#asked = $derived(JSON.stringify(this.#question));
    this.#isAnswered = $derived(this.#answer?.asked === this.#asked);
    this.reading = new Reading(async () => {
      const asked = this.#asked;
      this.#answer = { asked, page: await get<Page<T>>(path, { ...this.#question, limit }) };
    });
  }

  /** What was answered to the question before stays until this one is, unless there will be no answer. */
  get items(): T[] | undefined {
    return this.#isAnswered || this.reading.failure === undefined ? this.#answer?.page.items : undefined;
  }

  /** Where older ones begin, if there are any. */
  get next(): string | undefined {
    return (this.#isAnswered && this.#answer?.page.next) || undefined;
  }

  /** Whether newer ones were left behind. */
  get isOlder(): boolean {
    return this.#said('before') !== undefined;
  }

  /** What a filter is set to. */
  filter(name: string): string | undefined {
    return this.#said(name);
  }

  /** Sets a filter, and begins with the newest. */
  only(name: string, value: string): void {
    address.say('before', '');
    address.say(name, value);
  }

  /** Keeps the newest page as the broker has it for as long as the view is shown that calls this. What is older does not change. */
  whileShown(concerns: (hint: Hint) => boolean, every?: number): void {
    whileShown(this.reading, (hint) => !this.isOlder && concerns(hint), every);
    let last = this.#asked;
    $effect(() => {
      if (this.#asked === last) return;
      last = this.#asked;
      untrack(this.reading.again);
    });
  }
}
