import { ask, get, onEnd, said, type Schemas } from '../api/client';

type Who =
  | { is: 'unknown' }
  | { is: 'out'; why?: string }
  | { is: 'in'; me: Schemas['Me'] };

/** Where it is kept until when the sign-in lasts, which is no secret: the cookie is, and no script reads it. */
const UNTIL = 'brokkr.signed-in-until';

/** Who is signed in. */
class Session {
  who = $state.raw<Who>({ is: 'unknown' });

  constructor() {
    onEnd(() => {
      const isNews = this.who.is === 'in';
      this.#end(isNews ? 'The sign-in is over: its time, or its key, has ended.' : undefined);
    });
  }

  /** Finds out whether somebody is signed in already. */
  async look(): Promise<void> {
    const until = localStorage.getItem(UNTIL);
    if (!until || Date.parse(until) <= Date.now()) return this.#end();
    try {
      this.who = { is: 'in', me: await get<Schemas['Me']>('/me') };
    } catch (error) {
      if (this.who.is === 'unknown') this.who = { is: 'out', why: said(error) };
    }
  }

  /** Signs in with a key, which is in no variable any more afterwards. */
  async enter(key: string): Promise<void> {
    const { expires_at } = await ask<Schemas['SignedIn']>('POST', '/session', { key });
    localStorage.setItem(UNTIL, expires_at);
    await this.look();
  }

  async leave(): Promise<void> {
    await ask('DELETE', '/session').catch(() => undefined);
    this.#end();
  }

  #end(why?: string): void {
    localStorage.removeItem(UNTIL);
    this.who = why === undefined ? { is: 'out' } : { is: 'out', why };
  }
}

export const session = new Session();
