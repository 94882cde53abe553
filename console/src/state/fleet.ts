import type { Schemas } from '../api/client';
import type { Tone } from '../parts/Badge.svelte';

type Agent = Schemas['Agent'];

/** How an agent is, what needs somebody first. */
export const CONDITIONS = {
  silent: { rank: 0, tone: 'bad' },
  retiring: { rank: 1, tone: 'busy' },
  paused: { rank: 2, tone: 'warn' },
  connected: { rank: 3, tone: 'good' },
} as const satisfies Record<string, { rank: number; tone: Tone }>;

export type Condition = keyof typeof CONDITIONS;

export function condition(agent: Agent): Condition {
  if (agent.silent) return 'silent';
  if (agent.retiring) return 'retiring';
  return agent.paused ? 'paused' : 'connected';
}

/** Whether an agent is meant by words: parts of its name, and labels as `key=value` or `key=`, separated by spaces or commas. */
export function matches(agent: Agent, filter: string): boolean {
  const words = filter.split(/[\s,]+/).filter(Boolean);
  return words.every((word) => {
    const at = word.indexOf('=');
    if (at < 0) return agent.name.includes(word.toLowerCase());
    const value = agent.labels?.[word.slice(0, at)];
    return value !== undefined && (at === word.length - 1 || value === word.slice(at + 1));
  });
}
