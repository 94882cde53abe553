import { get, Refusal, type Schemas } from './client';

export type Hint = Schemas['Hint'];

/** What is told of changes. */
export interface Listener {
  /** These changed. */
  hints(hints: Hint[]): void;
  /** Anything may have changed. */
  reset(): void;
  /** Whether changes are heard of at present. */
  connected(is: boolean): void;
}

/** Hints that come within this time are told together, in milliseconds. */
const TOGETHER = 100;
/** How soon a feed that was refused is tried again, in milliseconds: a broker that starts again takes about as long. */
const AGAIN = 2_000;

/** Listens to what changes, through outages, until the answer is called. A page that nobody sees does not: browsers hold few connections. */
export function watch(listener: Listener): () => void {
  let source: EventSource | undefined;
  let waiting: Hint[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;

  const tell = () => {
    timer = undefined;
    const hints = waiting;
    waiting = [];
    listener.hints(hints);
  };
  const open = () => {
    source = new EventSource('/api/v1/watch');
    source.addEventListener('open', () => listener.connected(true));
    source.addEventListener('hint', (event) => {
      waiting.push(JSON.parse(event.data) as Hint);
      timer ??= setTimeout(tell, TOGETHER);
    });
    source.addEventListener('reset', () => {
      waiting = [];
      listener.reset();
    });
    source.addEventListener('error', () => {
      listener.connected(false);
      // After a broken connection browsers come back by themselves; after a refusal they do not, nor do they say why.
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(resume, AGAIN);
    });
  };
  const resume = async () => {
    const asked = era;
    try {
      await get('/me');
    } catch (error) {
      // Who is not signed in any more has heard so.
      if (asked === era && !(error instanceof Refusal && error.code === 'unauthenticated')) again = setTimeout(resume, AGAIN);
      return;
    }
    // It may have been opened or given up meanwhile.
    if (asked === era) open();
  };
  /** Grows with each end: what was begun before is nobody's any more. */
  let era = 0;
  const close = () => {
    era += 1;
    clearTimeout(timer);
    clearTimeout(again);
    timer = undefined;
    source?.close();
    source = undefined;
  };
  const seen = () => {
    close();
    if (!document.hidden) open();
  };
  document.addEventListener('visibilitychange', seen);
  seen();
  return () => {
    document.removeEventListener('visibilitychange', seen);
    close();
  };
}
