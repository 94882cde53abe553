import { watch, type Hint } from '../api/watch';

type Reread = (hints: Hint[] | 'all') => void;

/** Tells views what to read again. */
class Live {
  /** Whether changes are heard of; what is shown may be old otherwise. */
  connected = $state(true);
  #views = new Set<Reread>();

  /** Begins to listen, until the answer is called. */
  begin(): () => void {
    const tell = (hints: Hint[] | 'all') => this.#views.forEach((view) => view(hints));
    return watch({
      hints: tell,
      reset: () => tell('all'),
      connected: (is) => (this.connected = is),
    });
  }

  /** Lets a view hear of changes for as long as it is shown. */
  hear(view: Reread): () => void {
    this.#views.add(view);
    return () => this.#views.delete(view);
  }
}

export const live = new Live();
