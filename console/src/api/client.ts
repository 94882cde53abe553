import type { components } from './schema';

export type Schemas = components['schemas'];

/** Why the broker refused something, in its own words; or that it could not be asked. */
export class Refusal extends Error {
  constructor(
    message: string,
    /** What kind of refusal it is; `unreachable` if no answer came. */
    readonly code: Schemas['Code'] | 'unreachable',
    /** How long to wait before asking again, in milliseconds, if the broker said so. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** What went wrong, for people. */
export function said(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  console.error(error);
  return 'The page has a defect; the browser\'s console says more.';
}

type Query = Record<string, string | number | boolean | undefined>;

export interface Asked {
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  /** The revision that was seen last of what is edited. */
  revision?: number;
  /** The digest of the plan that was agreed to. */
  plan?: string;
  /** Signs the request, where there is no cookie yet. */
  key?: string;
}

/** How long an answer may take, in milliseconds; a broker says sooner that it cannot. */
const PATIENCE = 30_000;

/** What listens when the sign-in has ended. */
let ended: () => void = () => {};

export function onEnd(listener: () => void): void {
  ended = listener;
}

function address(path: string, query: Query = {}): string {
  const said = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return `/api/v1${path}${text && `?${text}`}`;
}

async function answer(method: string, path: string, asked: Asked, accept = 'application/json'): Promise<Response> {
  const headers = new Headers({ Accept: accept, 'Brokkr-Console': '1' });
  if (asked.key !== undefined) headers.set('Authorization', `Bearer ${asked.key}`);
  if (asked.revision !== undefined) headers.set('If-Match', `"${asked.revision}"`);
  if (asked.plan !== undefined) headers.set('Brokkr-Plan', asked.plan);
  if (asked.body !== undefined) headers.set('Content-Type', 'application/json');
  const request: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (asked.body !== undefined) request.body = JSON.stringify(asked.body);
  request.signal = AbortSignal.timeout(PATIENCE);
  return reached(fetch(address(path, asked.query), request));
}

/** What comes over the network, or that it does not: also half-way. */
async function reached<T>(coming: Promise<T>): Promise<T> {
  try {
    return await coming;
  } catch {
    throw new Refusal('The broker does not answer: is it running, and is this machine online?', 'unreachable');
  }
}

async function refusal(response: Response): Promise<Refusal> {
  const problem = await response.json().catch(() => undefined) as Schemas['Problem'] | undefined;
  // What stands between may answer with a page of its own.
  if (!problem?.code) return new Refusal(`Something answered ${response.status} in the place of the broker.`, 'unreachable');
  const seconds = problem.retry_after;
  return new Refusal(problem.detail, problem.code, typeof seconds === 'number' ? seconds * 1000 : undefined);
}

/** Why it was refused; whose sign-in has ended hears so. */
async function refused(response: Response, isByKey = false): Promise<Refusal> {
  const why = await refusal(response);
  if (why.code === 'unauthenticated' && !isByKey) ended();
  return why;
}

/** Asks the broker, and answers with what it says, or with nothing if it says nothing. */
export async function ask<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await answer(method, path, asked);
  if (!response.ok) throw await refused(response, asked.key !== undefined);
  return (response.status === 204 ? undefined : await reached(response.json())) as T;
}

export function get<T>(path: string, query: Query = {}): Promise<T> {
  return ask<T>('GET', path, { query });
}

/** Reads something that is no JSON. */
export async function text(path: string): Promise<string> {
  const response = await answer('GET', path, {}, '*/*');
  if (response.ok) return reached(response.text());
  throw await refused(response);
}

/** Reads a list page by page, and tells of each as it comes. */
export async function pages<T>(path: string, query: Query, each: (items: T[]) => void): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await get<{ items: T[]; next?: string | null }>(path, { limit: 500, ...query, cursor });
    each(page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}
