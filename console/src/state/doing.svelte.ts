import { said } from '../api/client';

/** Something that somebody asked for: under way, refused, or neither. */
export class Doing {
  isBusy = $state(false);
  failure = $state<string>();

  /** Does it, unless it is under way already; answers whether it was done. */
  async run(work: () => Promise<void>): Promise<boolean> {
    if (this.isBusy) return false;
    this.isBusy = true;
    this.failure = undefined;
    try {
      await work();
      return true;
    } catch (error) {
      this.failure = said(error);
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
