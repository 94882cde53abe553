import type { Schemas } from '../api/client';
import type { Tone } from '../parts/Badge.svelte';

/** What names a stack for everybody. */
export function reference(stack: { name: string; generator?: string | null }): string {
  return stack.generator ? `${stack.generator}:${stack.name}` : stack.name;
}

/** The same, of what belongs to a stack. */
export function owned(it: { stack_name: string; generator?: string | null }): string {
  return reference({ name: it.stack_name, generator: it.generator ?? null });
}

/** The address of a stack's view, or of a part of it. */
export function stackAddress(name: string, part = ''): string {
  return `/stacks/${encodeURIComponent(name)}${part && `/${part}`}`;
}

/** What names an object for people: `Deployment.apps shop/web`. */
export function named({ group, kind, namespace, name }: Schemas['ObjectKey']): string {
  return `${kind}${group ? `.${group}` : ''} ${namespace ? `${namespace}/` : ''}${name}`;
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

/** By what something is paused, in words. */
export function pausedBy(paused: Schemas['Paused'] | undefined): string[] {
  return Object.entries(paused ?? {}).flatMap(([by, is]) => (is ? [by] : []));
}
