import { structuredPatch } from 'diff';
import { parseDocument, stringify } from 'yaml';
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

/** What a version holds. */
export interface Content {
  manifests: string;
  /** Where objects are that name no namespace. */
  namespace: string | null;
}

/** So many equal lines stand around what differs. */
const CONTEXT = 3;

/** What takes the browser longer, in milliseconds, is not compared line by line. */
const PATIENCE = 300;

/** What differs between two versions, or from nothing, object by object, by name; where objects stand in a text says nothing. */
export function compare(before: Content | undefined, after: Content): ObjectDiff[] {
  const moved = before && before.namespace !== after.namespace;
  const elsewhere: ObjectDiff[] = moved ? [{ name: 'Where objects are that name no namespace', is: 'changed', lines: lines(before.namespace ?? '', after.namespace ?? '') }] : [];
  return [...elsewhere, ...compareTexts(before?.manifests ?? '', after.manifests)];
}

function compareTexts(before: string, after: string): ObjectDiff[] {
  const [were, are] = [documents(before), documents(after)];
  // What stands in both as it is need not be understood.
  const [known, still] = [new Set(were), new Set(are)];
  const old = objects(were.filter((document) => !still.has(document)));
  const now = objects(are.filter((document) => !known.has(document)));
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)];
    if (from === to) return [];
    const is = from === undefined ? 'new' : to === undefined ? 'gone' : 'changed';
    return [{ name, is, lines: lines(from ?? '', to ?? '') } as const];
  });
}

/** The documents of a text. A line that begins with `---` and a space or its end stands in no value (YAML 1.2.2, 9.1.2). */
function documents(text: string): string[] {
  const pieces = `\n${text.replace(/\r\n?/g, '\n')}`.split(/\n---(?=[ \t\n]|$)/);
  return pieces.map((piece) => piece.trim()).filter(Boolean);
}

/** The objects of documents by what they name; a list is its items. */
function objects(documents: string[]): Map<string, string> {
  const found = new Map<string, string>();
  const put = (name: string, text: string) => {
    let place = name;
    for (let again = 2; found.has(place); again++) place = `${name} (${again})`;
    found.set(place, text);
  };
  for (const document of documents) {
    const value: unknown = parseDocument(document, { logLevel: 'silent' }).toJS();
    const items = isObject(value) && String(value['kind']).endsWith('List') && Array.isArray(value['items']) ? (value['items'] as unknown[]) : undefined;
    if (items) items.forEach((item) => put(identity(item), stringify(item).trim()));
    else if (value !== null && value !== undefined) put(identity(value), document);
  }
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function identity(value: unknown): string {
  const { kind, apiVersion, metadata } = isObject(value) ? value : {};
  if (typeof kind !== 'string' || !isObject(metadata)) return 'what is no object';
  const group = String(apiVersion ?? '').split('/').slice(0, -1).join('/');
  const namespace = metadata['namespace'] ? String(metadata['namespace']) : null;
  return named({ group, kind, namespace, name: String(metadata['name']) });
}

function lines(from: string, to: string): Line[] {
  const whole = (text: string) => text && `${text}\n`;
  const patch = structuredPatch('', '', whole(from), whole(to), '', '', { context: CONTEXT, timeout: PATIENCE });
  if (!patch) return [{ is: 'gap', text: 'It differs in too much to be shown line by line.' }];
  return patch.hunks.flatMap((hunk, at) => {
    const gap: Line[] = at > 0 || hunk.oldStart > 1 ? [{ is: 'gap', text: `line ${hunk.newStart}` }] : [];
    return [...gap, ...hunk.lines.filter((line) => !line.startsWith('\\')).map(line)];
  });
}

function line(text: string): Line {
  const is = text.startsWith('+') ? 'added' : text.startsWith('-') ? 'removed' : 'same';
  return { is, text: text.slice(1) };
}
