import type { Schemas } from '../api/client';
import type { Tone } from '../parts/Badge.svelte';

export type Glance = Schemas['Glance'];
type Counts = Schemas['StackCounts'];

/** How an agent is, what needs somebody first. */
export const CONDITIONS = {
  failing: { rank: 0, tone: 'bad', says: 'a stack failed, or an object of it cannot become what it should be' },
  held: { rank: 1, tone: 'warn', says: 'a stack waits until somebody decides' },
  silent: { rank: 2, tone: 'none', says: 'nothing was heard of it for too long' },
  paused: { rank: 3, tone: 'warn', says: 'it only looks' },
  retiring: { rank: 4, tone: 'busy', says: 'it takes nothing new, and goes' },
  changing: { rank: 5, tone: 'busy', says: 'something is on its way' },
  well: { rank: 6, tone: 'good', says: 'all is as it should be' },
} as const satisfies Record<string, { rank: number; tone: Tone; says: string }>;

export type Condition = keyof typeof CONDITIONS;
export const IN_RANK = Object.keys(CONDITIONS) as Condition[];

export function condition(agent: Glance): Condition {
  const stacks: Counts = agent.stacks ?? {};
  if (stacks.failed || stacks.degraded) return 'failing';
  if (stacks.held) return 'held';
  if (agent.silent) return 'silent';
  if (agent.paused) return 'paused';
  if (agent.retiring) return 'retiring';
  return stacks.applying || stacks.pending || stacks.removing || stacks.progressing || stacks.unknown ? 'changing' : 'well';
}

const WORDS: (keyof Counts)[] = ['failed', 'degraded', 'held', 'unknown', 'removing', 'applying', 'pending', 'progressing', 'synced'];

/** How many of its stacks are how, in words. */
export function stacksOf(agent: Glance): string {
  const stacks: Counts = agent.stacks ?? {};
  const said = WORDS.filter((word) => stacks[word]).map((word) => `${stacks[word]} ${word}`);
  return said.join(', ') || 'none';
}

/** What a selector looks at. */
interface Labelled {
  name: string;
  labels?: Record<string, string>;
}

/**
 * Whether something is meant by words, separated by spaces or commas, all of which must hold: `key=value`, `key!=value`, `key=` (there
 * is one), `!key` (there is none), or a part of the name.
 */
export function selects(filter: string): (it: Labelled) => boolean {
  const tests = filter.split(/[\s,]+/).filter(Boolean).map(test);
  return (it) => tests.every((holds) => holds(it));
}

function test(word: string): (it: Labelled) => boolean {
  const [, key = '', sign, value = ''] = /^([^!=]*)(!=|==?)(.*)$/.exec(word) ?? [];
  if (sign === '!=') return ({ labels }) => labels?.[key] !== value;
  if (sign && !value) return ({ labels }) => labels?.[key] !== undefined;
  if (sign) return ({ labels }) => labels?.[key] === value;
  if (word.startsWith('!')) return ({ labels }) => labels?.[word.slice(1)] === undefined;
  const part = word.toLowerCase();
  return ({ name }) => name.includes(part);
}

/** Agents that have the same value of a label. */
export interface Group {
  name: string;
  agents: Glance[];
}

/** So many groups are drawn, and so many values may a label have that groups are worth it. */
export const MOST_GROUPS = 100;

/** Groups by a label, those first that need somebody most; one group if there is no label. */
export function groups(agents: Glance[], label: string): Group[] {
  if (!label) return [{ name: '', agents }];
  const found = Map.groupBy(agents, (agent) => agent.labels?.[label] ?? '');
  const all = [...found].map(([name, agents]) => ({ name: name || `no ${label}`, agents, trouble: agents.filter((agent) => CONDITIONS[condition(agent)].rank < 3).length }));
  return all.sort((a, b) => b.trouble / b.agents.length - a.trouble / a.agents.length || (a.name < b.name ? -1 : 1));
}

/** The labels by which agents can be grouped, those first that tell fewer groups apart. */
export function labelsOf(agents: Glance[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const agent of agents) {
    for (const [key, value] of Object.entries(agent.labels ?? {})) {
      const known = values.get(key) ?? new Set();
      values.set(key, known.add(value));
    }
  }
  const few = [...values].filter(([, { size }]) => size <= MOST_GROUPS);
  return few.sort(([, a], [, b]) => a.size - b.size).map(([key]) => key);
}
