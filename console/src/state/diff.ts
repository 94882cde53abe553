import { structuredPatch } from 'diff';
import { parseDocument } from 'yaml';
import { named } from './stacks';

/** How one object differs between two texts of manifests. */
export interface ObjectDiff {
  name: string;
  is: 'new' | 'gone' | 'changed';
  lines: Line[];
}

/** A line of a difference; `gap` stands for lines that are the same. */
export interface Line {
  is: 'added' | 'removed' | 'same' | 'gap';
  text: string;
}

/** So many equal lines stand around what differs. */
const CONTEXT = 3;

/** What differs between two texts, object by object, by name; where objects stand in a text says nothing. */
export function compare(before: string, after: string): ObjectDiff[] {
  const [old, now] = [objects(before), objects(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)];
    if (from === to) return [];
    const is = from === undefined ? 'new' : to === undefined ? 'gone' : 'changed';
    return [{ name, is, lines: lines(from ?? '', to ?? '') } as const];
  });
}

/** The documents of a text by what they name. */
function objects(text: string): Map<string, string> {
  const found = new Map<string, string>();
  text.split(/^---(?:[ \t].*)?$/m).forEach((piece, at) => {
    const document = piece.trim();
    if (!document) return;
    const name = identity(document) ?? `document ${at + 1}`;
    // Only a text that was never published can have an object twice.
    found.set(found.has(name) ? `${name} (document ${at + 1})` : name, document);
  });
  return found;
}

function identity(document: string): string | undefined {
  const { kind, apiVersion, metadata } = (parseDocument(document, { logLevel: 'silent' }).toJS() ?? {}) as {
    kind?: unknown;
    apiVersion?: unknown;
    metadata?: { name?: unknown; namespace?: unknown } | null;
  };
  if (typeof kind !== 'string' || metadata?.name === undefined) return undefined;
  const group = String(apiVersion ?? '').split('/').slice(0, -1).join('/');
  const namespace = metadata.namespace === undefined ? null : String(metadata.namespace);
  return named({ group, kind, namespace, name: String(metadata.name) });
}

function lines(from: string, to: string): Line[] {
  const whole = (text: string) => text && `${text}\n`;
  const { hunks } = structuredPatch('', '', whole(from), whole(to), '', '', { context: CONTEXT });
  return hunks.flatMap((hunk, at) => {
    const gap: Line[] = at > 0 || hunk.oldStart > 1 ? [{ is: 'gap', text: `line ${hunk.newStart}` }] : [];
    return [...gap, ...hunk.lines.filter((line) => !line.startsWith('\\')).map(line)];
  });
}

function line(text: string): Line {
  const is = text.startsWith('+') ? 'added' : text.startsWith('-') ? 'removed' : 'same';
  return { is, text: text.slice(1) };
}
