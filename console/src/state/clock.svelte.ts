/** The time as the page shows it; it moves once in ten seconds, for all at once. */
class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => (this.now = Date.now()), 10_000);
  }
}

export const clock = new Clock();

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** How long ago a time is, in words. */
export function ago(time: string, now: number): string {
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (unit) return relative.format(Math.trunc(seconds / unit[1]), unit[0]);
  return Math.abs(seconds) < 10 ? 'just now' : relative.format(seconds, 'second');
}
