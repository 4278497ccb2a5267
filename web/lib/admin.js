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
  let shown = null;
  const show = (key, query) => {
    shown = key;
    const [, , draw] = views.find(([one]) => one === key);
    // Filters of a view keep its name in the address.
    const inner = { ...ctx, query, setQuery: (values) => key === shown && ctx.setQuery({ ...(key === views[0][0] ? {} : { tab: key }), ...values }) };
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

/**
 * A number as exact decimal text without an exponent, multiplied by a power of ten: digits are moved, nothing is computed with binary fractions.
 * @param {number|string} value what a server or an input names: `0.5`, `.5`, `5e-1`
 * @returns {string|undefined} undefined where it is no number of zero or more
 */
export function decimal(value, power = 0) {
  const [, whole, fraction = '', exponent = 0] = /^\s*(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,2}))?\s*$/i.exec(String(value)) ?? [];
  if (!whole && !fraction) return undefined;
  const point = whole.length + Number(exponent) + power;
  const digits = (whole + fraction).padEnd(point, '0').padStart((whole + fraction).length + Math.max(0, -point), '0');
  const at = Math.max(0, point);
  const [front, back] = [digits.slice(0, at).replace(/^0+(?=\d)/, ''), digits.slice(at).replace(/0+$/, '')];
  return `${front || '0'}${back && `.${back}`}`;
}

/** A price per token as text of dollars per million tokens for an input. */
export const millionText = (price) => (price === null || price === undefined ? '' : decimal(price, 6));

/** The reverse, as the server takes prices. */
export const perToken = (text) => decimal(text, -6);
