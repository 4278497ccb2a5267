// Parts that several pages of administrators share.

import { h, none, replace, t } from './base.js';
import { badge, choices, link } from './ui.js';

/**
 * `load` of `list` for calls that answer all rows at once: they are filtered and shown in portions here.
 * @param {() => Promise<*[]>} fetchAll called when the list is loaded, not for further portions
 * @param {(row: *, query: object) => boolean} matches
 */
export function whole(fetchAll, matches, { portion = 100, order } = {}) {
  let rows = [];
  return async (query, position) => {
    if (position === null) rows = await fetchAll();
    const found = rows.filter((row) => matches(row, query));
    if (order) found.sort(order(query));
    const begin = position ?? 0;
    const end = begin + portion;
    return { items: found.slice(begin, end), next: end < found.length ? end : null, total: found.length };
  };
}

/** Whether each word of a search is in one of the texts. */
export function contains(search, ...texts) {
  const all = texts.filter(Boolean).join(' ').toLowerCase();
  return (search ?? '').toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

/**
 * Views of one page, of which the address names one (`?tab=`).
 * @param {[string, string, (ctx: object) => Node|Node[]][]} views key, title, and what draws it
 */
export function tabs(ctx, label, views) {
  const place = h('div.tab');
  const show = (key, query) => {
    const [, , draw] = views.find(([one]) => one === key);
    // Filters of a view keep its name in the address.
    const inner = { ...ctx, query, setQuery: (values) => ctx.setQuery({ ...(key === views[0][0] ? {} : { tab: key }), ...values }) };
    replace(place, draw(inner));
  };
  const asked = ctx.query.get('tab');
  const first = views.some(([key]) => key === asked) ? asked : views[0][0];
  const chooser = choices(label, views.map(([key, title]) => [key, title]), first, (key) => {
    ctx.setQuery(key === views[0][0] ? {} : { tab: key });
    // The page may be drawn again after a change: then this view is the one to begin with.
    ctx.query = new URLSearchParams({ tab: key });
    show(key, new URLSearchParams());
  });
  show(first, ctx.query);
  return [h('div.tabs', null, chooser), place];
}

/** Whom the reader may change: root everybody, administrators those below them. */
export const mayChange = (ctx, user) => ctx.may('root') || user.role < ctx.user.role;

export const roleBadge = (user) => badge(t(`role.${user.role}`), user.role > 1 ? 'warn' : null);

export const userLink = (id, name) => (Number(id) > 0 ? link(`/console/users/${id}`, name ?? `#${id}`) : none);

export const channelLink = (id, name) => (Number(id) > 0 ? link(`/console/channels/${id}`, name ?? `#${id}`) : none);

/** A name for an operation on money, so that it can be sent again without being done twice. `crypto.randomUUID` needs HTTPS; this does not. */
export const operationKey = () => `console-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** An amount of dollars as exact decimal text. */
export const decimal = (amount) => amount.toFixed(9).replace(/\.?0+$/, '');

/** A price per token as text of dollars per million tokens for an input, without the noise of binary fractions. */
export const millionText = (price) => (price === null || price === undefined ? '' : String(Number((price * 1e6).toPrecision(12))));

/** The reverse as exact decimal text, as the server takes prices. */
export function perToken(text) {
  const [, whole, fraction = ''] = /^\s*(\d+)(?:\.(\d*))?\s*$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const digits = (whole + fraction).padStart(fraction.length + 7, '0');
  const point = digits.length - fraction.length - 6;
  return `${Number(digits.slice(0, point))}.${digits.slice(point)}`.replace(/\.?0+$/, '') || '0';
}
