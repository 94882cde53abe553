import type { Schemas } from '../api/client';
import { filled } from './advice';
import { named, owned } from './stacks';

type Event = Schemas['RecordedEvent'];

const RESULTS: Record<Schemas['ObjectResult'], string> = {
  created: 'created',
  changed: 'changed',
  pruned: 'pruned',
  kept: 'kept',
  conflict: 'in conflict',
  invalid: 'invalid',
  failed: 'failed',
  skipped: 'skipped',
  unchanged: 'unchanged',
};

/** What was done to objects, counted: `2 created, 1 pruned`. */
export function counted(event: Event): string {
  const by = Map.groupBy(event.objects ?? [], ({ result }) => result);
  const counts = Object.entries(RESULTS).flatMap(([result, word]) => {
    const count = by.get(result as Schemas['ObjectResult'])?.length ?? 0;
    return count > 0 ? [`${count} ${word}`] : [];
  });
  return counts.join(', ');
}

/** The same of each, with its reason: `ConfigMap shop/a changed: somebody had set data.a`. What was so already is left out. */
export function each(event: Event): string[] {
  const touched = (event.objects ?? []).filter(({ result }) => result !== 'unchanged');
  return touched.map(({ object, result, reason }) => {
    const done = `${named(object)} ${RESULTS[result]}`;
    return reason ? `${done}: ${filled(reason, owned(event), event.agent_name)}` : done;
  });
}

/** So many objects give their reasons for an event that has none of its own. */
const NAMED = 3;

/** Why it ended so, or why something was done to objects. */
export function why(event: Event): string {
  return filled(event.reason ?? ofObjects(event), owned(event), event.agent_name);
}

function ofObjects(event: Event): string {
  const said = (event.objects ?? []).flatMap(({ object, reason }) => (reason ? [`${named(object)}: ${reason}`] : []));
  const more = said.length > NAMED ? [`and ${said.length - NAMED} more`] : [];
  return [...said.slice(0, NAMED), ...more].join('; ');
}
