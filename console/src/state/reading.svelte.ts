import { Refusal, said } from '../api/client';

/** Between two readings of the same thing there is at least so long, in milliseconds, and twice as long as one takes: a fleet may change
 * without a pause. */
const PAUSE = 250;
/** After a failure it is read again by itself, unless the broker says how soon: soon once, and then ever later, up to so long, in milliseconds. */
const AGAIN = 5_000;

/** Reads something as often as it changes, and never twice at once: what is asked for meanwhile is read afterwards. */
export class Reading {
  /** Why the last reading failed. What was read before is still shown. */
  failure = $state.raw<string>();
  /** Whether it is not there any more, or never was. */
  isGone = $state(false);
  #read: () => Promise<void>;
  /** Whether it is read, or was so lately that it rests. */
  #isBusy = false;
  #isReading = false;
  /** Whether it was asked for while it was read, and is not to rest then. */
  #isAsked = false;
  #isStale = false;
  #isOver = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(read: () => Promise<void>) {
    this.#read = read;
  }

  now = async (): Promise<void> => {
    if (this.#isBusy) {
      this.#isStale = true;
      return;
    }
    this.#isBusy = this.#isReading = true;
    this.#isStale = this.#isAsked = false;
    let pause = PAUSE;
    const begin = performance.now();
    try {
      await this.#read();
      this.failure = undefined;
      this.isGone = false;
      this.#failures = 0;
      pause = Math.max(PAUSE, 2 * (performance.now() - begin));
    } catch (error) {
      this.failure = said(error);
      const refusal = error instanceof Refusal ? error : undefined;
      // What is not there is told of when it comes; what is others' stays so.
      this.isGone = refusal?.code === 'not_found';
      if (!this.isGone && refusal?.code !== 'forbidden') {
        this.#isStale = true;
        pause = refusal?.retryAfter ?? Math.min(AGAIN, PAUSE * 2 ** this.#failures);
        this.#failures += 1;
      }
    }
    this.#isReading = false;
    if (this.#isOver) return;
    this.#timer = setTimeout(() => {
      this.#isBusy = false;
      if (this.#isStale) void this.now();
    }, this.#isAsked ? 0 : pause);
  };

  /** Reads it now, however lately it was read: somebody asks for it. */
  again = (): void => {
    if (this.#isReading) {
      this.#isAsked = true;
    } else {
      clearTimeout(this.#timer);
      this.#isBusy = false;
    }
    void this.now();
  };

  /** What is read is not shown any more. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
