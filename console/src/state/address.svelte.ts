/** Where the page is: each view has an address that can be shared. */
class Address {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));

  constructor() {
    addEventListener('popstate', () => this.#read());
  }

  go(to: string): void {
    history.pushState(null, '', to);
    this.#read();
    scrollTo(0, 0);
    // Whoever does not see the page hears where they are.
    document.getElementById('main')?.focus({ preventScroll: true });
  }

  /** Turns the page of a list, from which one can go back. */
  turn(name: string, value: string): void {
    history.pushState(null, '', location.href);
    this.say(name, value);
    scrollTo(0, 0);
  }

  /** Changes one word of the query, without a step in the history: who types a filter does not want to go back through it. */
  say(name: string, value: string): void {
    const query = new URLSearchParams(this.query);
    if (value) query.set(name, value);
    else query.delete(name);
    const text = query.toString();
    history.replaceState(null, '', `${location.pathname}${text && `?${text}`}`);
    this.#read();
  }

  /** Follows links within the page; what opens elsewhere is the browser's. */
  follow = (event: MouseEvent): void => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const isElsewhere = event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (!link || isElsewhere || link.origin !== location.origin || link.target || link.pathname.startsWith('/api/')) return;
    // A place on this very page.
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  };

  #read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }
}

export const address = new Address();
