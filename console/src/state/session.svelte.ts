import { ask, get, onEnd, Refusal, said, type Schemas } from '../api/client';

type Who =
  | { is: 'unknown'; why?: string }
  | { is: 'out'; why?: string }
  | { is: 'in'; me: Schemas['Me'] };

/** Where it is kept until when the sign-in lasts, which is no secret: the cookie is, and no script reads it. */
const UNTIL = 'brokkr.signed-in-until';
/** Other brokers of the same database know of a sign-in within a second, in milliseconds. */
const EVERYWHERE = 3_000;
/** How soon a broker is asked again who is signed in, in milliseconds. */
const AGAIN = 3_000;

/** Who is signed in. */
class Session {
  who = $state.raw<Who>({ is: 'unknown' });
  #since = 0;

  constructor() {
    onEnd(() => {
      if (this.who.is === 'in' && Date.now() - this.#since > EVERYWHERE) {
        this.#end('The sign-in is over: its time, or its key, has ended.');
      }
    });
    // Another window signed out.
    addEventListener('storage', (event) => {
      if (event.key === UNTIL && event.newValue === null && this.who.is === 'in') this.#end();
    });
  }

  /** Finds out whether somebody is signed in already. */
  async look(): Promise<void> {
    const until = localStorage.getItem(UNTIL);
    if (!until || Date.parse(until) <= Date.now()) return this.#end();
    try {
      this.who = { is: 'in', me: await get<Schemas['Me']>('/me') };
    } catch (error) {
      if (error instanceof Refusal && error.code === 'unauthenticated') return this.#end();
      this.who = { is: 'unknown', why: said(error) };
      setTimeout(() => this.look(), AGAIN);
    }
  }

  /** Signs in with a key, which is in no variable any more afterwards. */
  async enter(key: string): Promise<void> {
    const { expires_at, me } = await ask<Schemas['SignedIn']>('POST', '/session', { key });
    localStorage.setItem(UNTIL, expires_at);
    this.#since = Date.now();
    this.who = { is: 'in', me };
  }

  /** Signs out. Where the broker does not hear of it, the cookie is as good as before, and so is the sign-in. */
  async leave(): Promise<void> {
    try {
      await ask('DELETE', '/session');
    } catch (error) {
      if (!(error instanceof Refusal && error.code === 'unauthenticated')) throw error;
    }
    this.#end();
  }

  #end(why?: string): void {
    localStorage.removeItem(UNTIL);
    this.who = why === undefined ? { is: 'out' } : { is: 'out', why };
  }
}

export const session = new Session();
