import type { Schemas } from '../api/client';
import type { Tone } from '../parts/Badge.svelte';

/** What names a stack for everybody. */
export function reference(stack: Schemas['Stack']): string {
  return stack.generator ? `${stack.generator}:${stack.name}` : stack.name;
}

export const SYNC: Record<Schemas['Sync'], { rank: number; tone: Tone }> = {
  Failed: { rank: 0, tone: 'bad' },
  Held: { rank: 1, tone: 'warn' },
  Unknown: { rank: 2, tone: 'warn' },
  Removing: { rank: 3, tone: 'busy' },
  Applying: { rank: 4, tone: 'busy' },
  Pending: { rank: 5, tone: 'busy' },
  Synced: { rank: 6, tone: 'good' },
};

export const HEALTH: Record<Schemas['Health'], Tone> = {
  Degraded: 'bad',
  Progressing: 'busy',
  Unknown: 'none',
  Current: 'good',
};
