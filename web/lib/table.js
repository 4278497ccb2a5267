// Tables that become cards on a phone; lists that load further pages, keep their filters in the address and say what is missing; their export.

import { download } from './api.js';
import { h, icon, named, number, percent, replace, t } from './base.js';
import { badge, button, empty, field, keeping, problem, report, toast } from './ui.js';

/**
 * A table.
 * @param {{caption: string, columns: {title: string, cell: (row: *) => *, end?: boolean, class?: string, sort?: string, hidden?: boolean}[],
 *   rows: *[], open?: (row: *) => void, openLabel?: (row: *) => string, sorted?: {by: string, order: 'asc'|'desc'}, onSort?: (by: string) => void,
 *   footer?: *[]}} o
 *   `end`: figures, at the right; `sort`: the name that the server sorts by; `open`: what a press on a row does, besides on the button in its last cell
 */
export function table(o) {
  const columns = o.columns.filter((column) => column && !column.hidden);
  const header = (column) => {
    const isSorted = column.sort && o.sorted?.by === column.sort;
    return h('th', {
      scope: 'col', class: column.end ? 'end' : null,
      'aria-sort': isSorted ? (o.sorted.order === 'asc' ? 'ascending' : 'descending') : null,
    }, column.sort && o.onSort
      ? h('button.sort', { type: 'button', on: { click: () => o.onSort(column.sort) } }, column.title,
        isSorted && h('span', { 'aria-hidden': 'true' }, o.sorted.order === 'asc' ? ' ↑' : ' ↓'))
      : column.title);
  };
  const body = h('tbody');
  const node = h('div.table-frame', { tabindex: 0, role: 'region', 'aria-label': o.caption }, h('table', null,
    h('caption', null, o.caption),
    h('thead', null, h('tr', null, columns.map(header), o.open && h('th', { scope: 'col' }, h('span.offscreen', null, t('ui.details'))))),
    body, o.footer && h('tfoot', null, h('tr', null, o.footer.map((cell, index) => h('td', { class: columns[index]?.end ? 'end' : null }, cell)), o.open && h('td')))));
  node.add = (rows) => body.append(...rows.map((row) => line(row, columns, o)));
  node.add(o.rows);
  return node;
}

function line(row, columns, o) {
  const node = h('tr', o.open ? { class: 'opens', on: { click: (event) => {
    if (!event.target.closest('a, button, input, select, label') && !String(getSelection())) o.open(row);
  } } } : null, columns.map((column) => h('td', {
    class: [column.end && 'end', column.class].filter(Boolean).join(' ') || null, 'data-label': column.title,
  }, column.cell(row))));
  if (o.open) {
    node.append(h('td.row-open', null, button('', {
      icon: 'arrow', kind: 'quiet', title: o.openLabel ? `${t('ui.details')}: ${o.openLabel(row)}` : t('ui.details'), onClick: () => o.open(row),
    })));
  }
  return node;
}

const isSame = (query, other) => JSON.stringify(query) === JSON.stringify(other);

/**
 * A list with filters that stand in the address, which loads further rows.
 * @param {{ctx: object, caption: string, columns: object[], filters?: object[], load: (query: object, position: *, signal: AbortSignal) =>
 *   Promise<{items: *[], next: *, total?: number}>, open?: Function, openLabel?: Function, nothing: () => Node, sort?: {by: string, order: string},
 *   actions?: Node[]}} o
 *   `filters`: fields of `ui.field`, whose names become the query; `load` answers where the next rows begin, null at the end;
 *   `nothing`: the empty state when no filter is set
 * @returns {HTMLElement & {reload: () => Promise<void>}}
 */
export function list(o) {
  const { ctx } = o;
  const filters = o.filters ?? [];
  for (const one of filters) one.set(ctx.query.get(one.name) ?? '');
  let sorted = { by: ctx.query.get('sort') ?? o.sort?.by, order: ctx.query.get('order') ?? o.sort?.order ?? 'desc' };
  let position = null;
  let count = 0;
  let turn = 0;
  let isFurther = false;
  const result = h('div.live', { 'aria-busy': 'true' }, [1, 2, 3].map(() => h('div.skeleton', { 'aria-hidden': 'true' })));
  const foot = h('div.list-foot', { 'aria-live': 'polite' });

  const wanted = () => {
    const query = {};
    for (const one of filters) {
      const value = one.value();
      if (value !== '' && value !== null && value !== false) query[one.name] = value;
    }
    if (sorted.by) Object.assign(query, { sort: sorted.by, order: sorted.order });
    return query;
  };
  const isFiltered = () => filters.some((one) => one.value() !== '' && one.value() !== null && one.value() !== false);

  const remember = () => {
    const query = wanted();
    if (sorted.by === o.sort?.by && sorted.order === (o.sort?.order ?? 'desc')) {
      delete query.sort;
      delete query.order;
    }
    ctx.setQuery(query);
  };

  let shown = null;
  // The filters of the rows that are shown, and how often rows were: what was asked for other ones must not be put among them.
  let shownQuery = {};
  let drawings = 0;
  const draw = (page, query) => {
    isFurther = false;
    shownQuery = query;
    drawings += 1;
    count = page.items.length;
    position = page.next ?? null;
    if (count) {
      shown = table({ ...o, rows: page.items, sorted, onSort: (by) => sort(by, sorted.by === by && sorted.order === 'desc' ? 'asc' : 'desc') });
      keeping(result, () => replace(result, shown));
    } else {
      shown = null;
      replace(result, isFiltered() ? empty(t('ui.noMatch'), t('ui.noMatchText'), button(t('ui.clearFilters'), { onClick: clear })) : o.nothing());
    }
    drawFoot(page.total);
  };
  // A phone has no head of columns to press.
  const sortable = o.columns.filter((column) => column && !column.hidden && column.sort);
  const orders = sortable.flatMap((column) =>
    ['desc', 'asc'].map((order) => [`${column.sort} ${order}`, `${column.title} ${order === 'asc' ? '↑' : '↓'}`]));
  // A list begins in an order of its own where that is not one of a column.
  if (o.sort && !sortable.some((column) => column.sort === o.sort.by)) orders.unshift([`${o.sort.by} ${o.sort.order}`, t('ui.newest')]);
  const sorter = sortable.length > 0 && field({ label: t('ui.sortBy'), name: 'sort', type: 'select', options: orders });
  if (sorter) {
    sorter.node.classList.add('phone-only');
    sorter.set(`${sorted.by} ${sorted.order}`);
    sorter.input.addEventListener('change', () => {
      const [by, order] = sorter.value().split(' ');
      sort(by, order);
    });
  }
  function sort(by, order) {
    sorted = { by, order };
    sorter.set(`${by} ${order}`);
    remember();
    node.reload();
  }
  const drawFoot = (total) => {
    const hadFocus = foot.contains(document.activeElement);
    replace(foot, count > 0 && h('span.muted', null, total !== undefined ? t('ui.rowsOf', { count, total }) : t('ui.rows', { count })),
      position !== null && button(t('ui.more'), { onClick: further }));
    if (hadFocus) (foot.querySelector('button') ?? shown)?.focus({ preventScroll: true });
  };

  async function further() {
    const mine = drawings;
    // A refresh that is on its way would begin anew at the first page.
    if (isSame(wanted(), shownQuery)) {
      turn += 1;
      result.classList.remove('dim');
      result.removeAttribute('aria-busy');
    }
    const page = await o.load(shownQuery, position, ctx.signal);
    if (mine !== drawings) return undefined;
    if (!shown) return draw(page, shownQuery);
    shown.add(page.items);
    isFurther = true;
    count += page.items.length;
    position = page.next ?? null;
    drawFoot(page.total);
    return undefined;
  }

  function clear() {
    for (const one of filters) one.set('');
    remember();
    return node.reload();
  }

  // On a phone three filters are enough at first.
  const rest = filters.slice(3);
  const unfold = rest.length > 1 && h('button.button.quiet.unfold', { type: 'button', on: { click: () => search.classList.add('unfolded') } },
    icon('down'), h('span', null, t('ui.moreFilters')));
  const search = h('form.filters', { role: 'search', on: { submit: (event) => {
    event.preventDefault();
    changed();
  } } }, filters.map((one) => one.node), sorter && sorter.node, unfold, o.actions);
  if (rest.length > 1) for (const one of rest) one.node.classList.add('foldable');
  if (rest.some((one) => one.value())) search.classList.add('unfolded');
  let waiting;
  const changed = () => {
    clearTimeout(waiting);
    remember();
    node.reload();
  };
  for (const one of filters) {
    one.input.addEventListener(one.input.tagName === 'SELECT' || one.input.type === 'checkbox' ? 'change' : 'input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(changed, one.input.tagName === 'SELECT' ? 0 : 350);
    });
  }

  const node = h('div.list', null, (filters.length > 0 || sorter || o.actions) && search, result, foot);
  node.reload = async () => {
    const mine = (turn += 1);
    result.setAttribute('aria-busy', 'true');
    const dimming = setTimeout(() => result.classList.add('dim'), 200);
    const query = wanted();
    try {
      const page = await o.load(query, null, ctx.signal);
      if (mine === turn) draw(page, query);
    } catch (error) {
      if (mine !== turn || error?.name === 'AbortError') return;
      // Rows of other filters than those above would be taken for the answer.
      if (shown && isSame(query, shownQuery)) return report(error);
      shown = null;
      count = 0;
      position = null;
      drawings += 1;
      drawFoot();
      replace(result, problem(error, node.reload));
    } finally {
      clearTimeout(dimming);
      if (mine === turn) {
        result.classList.remove('dim');
        result.removeAttribute('aria-busy');
      }
    }
  };
  /** Loads the first page again, unless the reader has loaded further ones: their place in the list stays. */
  node.refresh = () => (isFurther ? null : node.reload());
  node.wanted = wanted;
  node.reload();
  return node;
}

/**
 * `load` of {@link list} for calls in cursor form. One call looks at a bounded number of rows, of which few may meet the filters:
 * it is repeated until there is something to show, so often that a reader need not wait long.
 */
export const byCursor = (get, path, extra) => async (query, position, signal) => {
  const items = [];
  let next = position ?? 0;
  for (let calls = 0; calls < 20 && next !== null && items.length < 20; calls += 1) {
    const page = await get(path, { page_size: 50, ...query, ...extra, before_id: next }, { signal });
    items.push(...page.items);
    next = page.next_before_id;
  }
  return { items, next };
};

/** `load` of {@link list} for calls in page form. */
export const byPage = (get, path, extra) => async (query, position, signal) => {
  const number = position ?? 1;
  const page = await get(path, { page_size: 50, ...query, ...extra, page: number }, { signal });
  const isLast = page.page * page.page_size >= page.total;
  return { items: page.items, next: isLast ? null : number + 1, total: page.total };
};

/**
 * @param {string} path of a call that answers CSV
 * @param {() => object} query the filters of the list beside it
 * @param {string} name of the file
 */
export function exportButton(path, query, name) {
  let running = null;
  const text = h('span', null, t('export.csv'));
  const bar = h('progress', { max: 1, hidden: true, 'aria-label': t('export.progress') });
  const node = h('button.button.export', { type: 'button' }, icon('download'), text, bar);
  const show = (fraction) => {
    if (fraction === null) bar.removeAttribute('value');
    else bar.value = fraction;
    replace(text, fraction === null ? t('export.stop') : `${t('export.stop')} (${percent(fraction, 0)})`);
  };
  node.addEventListener('click', async () => {
    if (running) return running.abort();
    running = new AbortController();
    bar.hidden = false;
    show(null);
    try {
      await download(path, await query(), name, show, running.signal);
      toast(t('export.done', { name }));
    } catch (error) {
      report(error);
    } finally {
      running = null;
      bar.hidden = true;
      replace(text, t('export.csv'));
    }
  });
  return node;
}

// Cells of the log's rows

const kinds = { completed: 'good', truncated: 'warn', client_gone: 'warn', failed: 'bad', recovered: 'warn' };

export const outcomeBadge = (row) => badge(named('outcome', row.outcome), kinds[row.outcome]);

/** Tokens of prompt and answer, for a column. */
export const tokenCell = (row) => h('span.nowrap', { title: t('request.tokensInOut', { input: row.prompt_tokens, output: row.completion_tokens }) },
  number(row.prompt_tokens), h('span.arrow', { 'aria-hidden': 'true' }, ' → '), h('span.offscreen', null, ', '), number(row.completion_tokens));

/** The whole of a log's row, in a dialog that is loaded when it is opened. */
export const openRequest = async (row, options) => (await import('./request.js')).requestDialog(row, options);
