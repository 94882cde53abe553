import { said } from '../api/client';

/** Between two readings of the same thing there is at least so long, in milliseconds: a fleet may change without a pause. */
const PAUSE = 500;

/** Reads something as often as it changes, and never twice at once: what is asked for meanwhile is read afterwards. */
export class Reading {
  /** Why the last reading failed. What was read before is still shown. */
  failure = $state.raw<string>();
  #read: () => Promise<void>;
  #isBusy = false;
  #isStale = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(read: () => Promise<void>) {
    this.#read = read;
  }

  now = async (): Promise<void> => {
    if (this.#isBusy) {
      this.#isStale = true;
      return;
    }
    this.#isBusy = true;
    this.#isStale = false;
    try {
      await this.#read();
      this.failure = undefined;
    } catch (error) {
      this.failure = said(error);
    }
    this.#timer = setTimeout(() => {
      this.#isBusy = false;
      if (this.#isStale) void this.now();
    }, PAUSE);
  };

  /** What is read is not shown any more. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
