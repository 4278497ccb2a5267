// Times that a person chooses: in the reader's zone on the page, Unix seconds in calls and addresses.

import { timeZone } from './i18n.js';
import { field } from './ui.js';

/** How far the zone's clock is ahead of UTC at a moment, in seconds. */
function offset(seconds, zone) {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' })
    .formatToParts(seconds * 1000);
  const of = Object.fromEntries(parts.map((part) => [part.type, Number(part.value)]));
  return Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute, of.second) / 1000 - Math.floor(seconds);
}

/** `2026-11-29T18:05` in the reader's zone. */
export function zoned(seconds, zone = timeZone()) {
  return new Date((Number(seconds) + offset(seconds, zone)) * 1000).toISOString().slice(0, 16);
}

/** The moment that a clock of the reader's zone shows so; null where the text is no time. */
export function unzoned(text, zone = timeZone()) {
  const seconds = Date.parse(`${text}Z`) / 1000;
  if (!Number.isFinite(seconds)) return null;
  const first = seconds - offset(seconds, zone);
  // The offset at the moment itself, which is another one on days when the clocks change.
  return seconds - offset(first, zone);
}

/** The beginning of the day in the reader's zone, `daysBefore` days before today. */
export function dayStart(daysBefore = 0, now = Date.now() / 1000) {
  return unzoned(`${zoned(unzoned(`${zoned(now).slice(0, 10)}T12:00`) - daysBefore * 86_400).slice(0, 10)}T00:00`);
}

/** A field for a moment: its value is in Unix seconds, empty when none is chosen. */
export function momentField(o) {
  const self = field({ ...o, type: 'datetime-local', value: undefined });
  self.value = () => (self.input.value ? unzoned(self.input.value) : '');
  self.set = (seconds) => {
    self.input.value = seconds ? zoned(Number(seconds)) : '';
  };
  if (o.value) self.set(o.value);
  return self;
}
