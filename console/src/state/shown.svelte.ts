import { untrack } from 'svelte';
import type { Hint } from '../api/watch';
import { live } from './live.svelte';
import type { Reading } from './reading.svelte';

/** Whether an agent is silent changes with time alone, and nobody tells of it: what shows that is read so often, in milliseconds. */
export const EVERY = 60_000;

/** Reads something for as long as the view is shown that calls this: at once, when what changes concerns it, and as often as time alone changes it. */
export function whileShown(reading: Reading, concerns: (hint: Hint) => boolean, every?: number): void {
  hearWhileShown(reading, (hints) => hints === 'all' || hints.some(concerns), every);
}

/** The same, for what sees for itself in the hints what is to be read again. */
export function hearWhileShown(reading: Reading, concerns: (hints: Hint[] | 'all') => boolean, every?: number): void {
  $effect(() =>
    untrack(() => {
      void reading.now();
      const deaf = live.hear((hints) => {
        if (concerns(hints)) void reading.now();
      });
      const timer = every === undefined ? undefined : setInterval(() => void reading.now(), every);
      return () => {
        clearInterval(timer);
        deaf();
        reading.end();
      };
    }),
  );
}
