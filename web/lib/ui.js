// The parts that pages are made of: buttons, fields, forms, dialogs, tiles, and the states of a page that loads.

import { ApiError } from './api.js';
import { append, h, icon, replace, t, unzoned, zoned } from './base.js';

let sequence = 0;
const nextId = (prefix) => `${prefix}-${(sequence += 1)}`;

// Actions

/**
 * A button. While its action runs (a promise) it cannot be pressed again; an error of the action is shown as a message.
 * @param {{onClick?: Function, kind?: 'primary'|'danger'|'quiet', icon?: string, type?: string, title?: string, disabled?: boolean}} options
 *   `title` names a button that shows only an icon
 */
export function button(label, options = {}) {
  const node = h('button', {
    type: options.type ?? 'button', class: ['button', options.kind, !label && 'bare'].filter(Boolean).join(' '),
    title: options.title, 'aria-label': label ? null : options.title, disabled: options.disabled,
  }, options.icon && icon(options.icon), label && h('span', null, label));
  if (options.onClick) node.addEventListener('click', (event) => busy(node, () => options.onClick(event)).catch(report));
  return node;
}

/** Marks a button while something runs. */
export async function busy(node, work) {
  if (node.getAttribute('aria-busy') === 'true') return;
  node.setAttribute('aria-busy', 'true');
  try {
    await work();
  } finally {
    node.removeAttribute('aria-busy');
  }
}

/** Shows an error that no form and no page has taken. */
export function report(error) {
  if (error?.name === 'AbortError') return;
  if (!(error instanceof ApiError)) console.error(error);
  toast(error instanceof ApiError ? error.text : t('error.internal'), 'bad');
}

/** A link inside the console; the application follows it without loading the page anew. */
export const link = (href, ...children) => h('a', { href }, children);

/** A link that looks like a button. */
export const linkButton = (href, label, options = {}) =>
  h('a', { href, class: ['button', options.kind].filter(Boolean).join(' ') }, options.icon && icon(options.icon), h('span', null, label));

/** The dialog in front, else the page: all behind it takes neither focus nor presses. */
const foremost = () => [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;

/** Copies a text, over plain HTTP too, where browsers offer no clipboard to scripts. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const focused = document.activeElement;
    const area = h('textarea', { value: text, class: 'offscreen', 'aria-hidden': 'true' });
    foremost().append(area);
    area.select();
    const isCopied = document.execCommand('copy');
    area.remove();
    focused?.focus({ preventScroll: true });
    if (!isCopied) return toast(t('ui.notCopied'), 'bad');
  }
  return toast(t('ui.copied'));
}

export const copyButton = (text, label = t('ui.copy')) => button(label, { icon: 'copy', kind: 'quiet', onClick: () => copy(text) });

/** A short text that can be copied: an id, an address. */
export const code = (text) => h('code', null, text);

/** Several lines that can be copied. */
export function snippet(text, label) {
  return h('figure.snippet', { 'aria-label': label }, h('pre', { tabindex: 0 }, h('code', null, text)), button('', {
    icon: 'copy', kind: 'quiet', title: label ? `${t('ui.copy')}: ${label}` : t('ui.copy'), onClick: () => copy(text),
  }));
}

// Messages

let toasts;

/** A message that goes away by itself, and is read out. */
export function toast(text, kind = 'good') {
  if (!toasts) document.body.append((toasts = h('div.toasts', { role: 'status', 'aria-live': 'polite' })));
  // A message behind an open dialog could not be seen.
  const host = foremost();
  if (toasts.parentNode !== host) host.append(toasts);
  const node = h('div.toast', { class: kind }, text);
  toasts.append(node);
  setTimeout(() => {
    node.remove();
    if (toasts.parentNode !== document.body && !toasts.children.length) document.body.append(toasts);
  }, kind === 'bad' ? 8000 : 3500);
}

/** An error in the page, with all that helps to find its cause. */
export function problem(error, retry) {
  const isKnown = error instanceof ApiError;
  if (!isKnown) console.error(error);
  return h('div.problem', { role: 'alert' }, icon('warning'), h('div', null,
    h('p.problem-text', null, isKnown ? error.text : t('error.internal')),
    isKnown && error.text !== error.message && h('p.muted', { lang: 'en' }, error.message),
    isKnown && h('p.muted', null, h('code', null, error.code), error.requestId && [' · ', h('code', null, error.requestId)]),
    retry && button(t('ui.retry'), { icon: 'refresh', onClick: retry })));
}

/** A place that is empty: why, and the one action that fills it. */
export const empty = (title, text, action) => h('div.empty', null, h('p.empty-title', null, title), text && h('p', null, text), action);

/** A note beside the content; `kind`: `info`, `warn`. */
export const note = (kind, ...children) => h('div.note', { class: kind }, icon(kind === 'warn' ? 'warning' : 'check'), h('div', null, children));

/** A small label; `kind`: `good`, `bad`, `warn`, or none. */
export const badge = (text, kind) => h('span.badge', { class: kind }, text);

// Fields

/**
 * A labelled input.
 * @param {{label: string, name: string, type?: string, value?: *, hint?: string, required?: boolean, options?: (string|[string, string])[],
 *   rows?: number, autocomplete?: string, placeholder?: string, min?: number, max?: number, step?: string, list?: string[], mono?: boolean}} o
 *   `type`: those of HTML, and `select`, `textarea`, `checkbox`, `list` (texts, one a line)
 * @returns {{node: HTMLElement, input: HTMLElement, name: string, value: () => *, set: (value: *) => void, error: (text: string|null) => void}}
 */
export function field(o) {
  const id = nextId('field');
  const isArea = o.type === 'textarea' || o.type === 'list';
  const common = {
    id, name: o.name, required: o.required, autocomplete: o.autocomplete ?? 'off', 'aria-describedby': o.hint ? `${id}-hint` : null,
    placeholder: o.placeholder, class: o.mono && 'mono', spellcheck: isArea || o.mono ? 'false' : null, disabled: o.disabled,
  };
  let input;
  if (o.type === 'select') {
    input = h('select', common, (o.options ?? []).map((option) => {
      const [value, label] = Array.isArray(option) ? option : [option, option];
      return h('option', { value }, label);
    }));
  } else if (isArea) {
    input = h('textarea', { ...common, rows: o.rows ?? 3 });
  } else {
    input = h('input', { ...common, type: o.type ?? 'text', min: o.min, max: o.max, step: o.step ?? (o.type === 'number' ? 'any' : null),
      list: o.list && `${id}-list`, minlength: o.minlength, maxlength: o.maxlength });
  }
  const error = h('p.field-error', { id: `${id}-error`, role: 'alert' });
  const self = {
    input, name: o.name, node: null,
    value() {
      if (o.type === 'checkbox') return input.checked;
      if (o.type === 'list') return input.value.split('\n').map((line) => line.trim()).filter(Boolean);
      if (o.type === 'number') return input.value === '' ? null : Number(input.value);
      return input.value;
    },
    set(value) {
      if (o.type === 'checkbox') input.checked = Boolean(value);
      else input.value = o.type === 'list' ? (value ?? []).join('\n') : value ?? '';
    },
    error(text) {
      error.textContent = text ?? '';
      if (text) {
        input.setAttribute('aria-invalid', 'true');
        input.setAttribute('aria-errormessage', `${id}-error`);
      } else {
        input.removeAttribute('aria-invalid');
        input.removeAttribute('aria-errormessage');
      }
    },
  };
  if (o.value !== undefined) self.set(o.value);
  input.addEventListener('input', () => self.error(null));
  const label = h('label', { for: id }, o.label, o.required === false && h('span.muted', null, ` ${t('ui.optional')}`));
  const hint = o.hint && h('p.hint', { id: `${id}-hint` }, o.hint);
  const list = o.list && h('datalist', { id: `${id}-list` }, o.list.map((value) => h('option', { value })));
  self.node = o.type === 'checkbox' ? h('div.field.check', null, input, label, hint, error) : h('div.field', null, label, input, list, hint, error);
  return self;
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

const nodesOf = (fields) => fields.map((one) => one.node ?? one);

/** Fields side by side. {@link form} takes this, and the two below, among its fields. */
export const fieldRow = (...fields) => ({ fields, node: h('div.fields', null, nodesOf(fields)) });

/** Fields under a heading of their own. */
export const fieldGroup = (legend, ...fields) => ({ fields, node: h('fieldset', null, h('legend', null, legend), nodesOf(fields)) });

/** Fields that few need, folded away. */
export const fieldFold = (summary, ...fields) => ({ fields, node: h('details.fold', null, h('summary', null, summary), nodesOf(fields)) });

const flat = (fields) => fields.flatMap((one) => (one.fields ? flat(one.fields) : one.input ? one : []));

/** Codes of errors that are about one field without naming it. */
const culprits = { wrong_password: 'old_password', username_taken: 'username' };

/** Why the browser refuses a value, in the console's language, which need not be the browser's. */
function invalidText(input) {
  const { validity } = input;
  if (validity.valueMissing) return t('ui.required');
  if (validity.tooShort) return t('ui.tooShort', { count: input.minLength });
  if (validity.rangeUnderflow) return t('ui.atLeast', { count: Number(input.min) });
  if (validity.rangeOverflow) return t('ui.atMost', { count: Number(input.max) });
  return t(validity.stepMismatch ? 'ui.wholeNumber' : 'ui.badInput');
}

/**
 * A form of fields. Errors of the server that name a field stand beside it; others above the button.
 * @param {{fields: object[], action: string, onSubmit: (values: object) => *, kind?: string, extra?: Node[], cancel?: () => void}} o
 *   `fields` are those of {@link field}, groups of them, or nodes
 */
export function form(o) {
  const fields = flat(o.fields);
  const show = (one) => {
    one.input.closest('details')?.setAttribute('open', '');
    one.input.focus();
  };
  const message = h('div', { 'aria-live': 'polite' });
  const submit = button(o.action, { type: 'submit', kind: o.kind ?? 'primary', icon: o.icon });
  const node = h('form', { novalidate: true, on: { submit: (event) => {
    event.preventDefault();
    for (const one of fields) one.error(null);
    message.replaceChildren();
    const missing = fields.find((one) => !one.input.checkValidity() && !one.input.closest('[hidden]'));
    if (missing) {
      missing.error(invalidText(missing.input));
      show(missing);
      return;
    }
    busy(submit, async () => {
      try {
        await o.onSubmit(Object.fromEntries(fields.map((one) => [one.name, one.value()])));
      } catch (error) {
        if (error?.name === 'AbortError') return;
        const culprit = error.details?.field ?? culprits[error.code];
        const named = culprit && fields.find((one) => one.name === culprit);
        if (named) {
          named.error(error.text);
          show(named);
        } else {
          replace(message, problem(error));
        }
      }
    });
  } } }, nodesOf(o.fields), message,
  h('div.actions', null, submit, o.cancel && button(t('ui.cancel'), { onClick: o.cancel }), o.extra));
  return node;
}

// Dialogs

/**
 * Opens a dialog; the browser keeps the focus inside, closes it on Escape and gives the focus back.
 * @param {{title: string, content: Node|Node[]|((close: Function) => Node|Node[]), side?: boolean, wide?: boolean, onClose?: Function, locked?: boolean}} o
 *   `side`: as a drawer at the right edge; `locked`: Escape does not close it
 * @returns {{node: HTMLDialogElement, close: (value?: *) => void, closed: Promise<*>}}
 */
export function dialog(o) {
  const id = nextId('dialog');
  let finish;
  const closed = new Promise((resolve) => (finish = resolve));
  let result;
  const opener = document.activeElement;
  let isTouched = false;
  const close = (value) => {
    result = value;
    node.close();
  };
  // A press on the backdrop is one on the dialog itself, outside its edges; one within them is on its scroll bar.
  const isOutside = ({ target, clientX: x, clientY: y }) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return target === node && (x < left || x > right || y < top || y > bottom);
  };
  const body = h('div.dialog-body');
  const node = h('dialog', { 'aria-labelledby': id, class: [o.side && 'side', o.wide && 'wide'].filter(Boolean).join(' ') || null, on: {
    close: () => {
      // A page that was opened from the dialog has put the focus on its heading already.
      const isLost = [null, document.body].includes(document.activeElement) || node.contains(document.activeElement);
      node.remove();
      if (isLost && opener?.isConnected) opener.focus();
      o.onClose?.(result);
      finish(result);
    },
    cancel: (event) => o.locked && event.preventDefault(),
    // A form in which something was typed is not lost by a press beside it.
    input: (event) => (isTouched ||= Boolean(event.target.closest('form'))),
    pointerdown: (event) => !o.locked && !isTouched && isOutside(event) && close(),
  } }, h('div.dialog-frame', null, h('div.dialog-head', null, h('h2', { id }, o.title),
    !o.locked && button('', { icon: 'close', kind: 'quiet', title: t('ui.close'), onClick: () => close() })), body));
  document.body.append(node);
  append(body, [typeof o.content === 'function' ? o.content(close) : o.content]);
  // A form begins at its first field, not at the button that closes the dialog.
  body.querySelector('form :is(input, select, textarea)')?.setAttribute('autofocus', '');
  node.showModal();
  return { node, close, closed };
}

/** Asks before something that cannot be taken back. */
export function confirm({ title, text, action, kind = 'danger' }) {
  return dialog({ title, content: (close) => [h('p', null, text), h('div.actions', null,
    button(action, { kind, onClick: () => close(true) }), button(t('ui.cancel'), { onClick: () => close(false) }))] }).closed;
}

/** A dialog around a form that closes when it has been sent. Answers what `onSubmit` returned, `undefined` when it was closed. */
export function formDialog({ title, intro, fields, action, onSubmit, kind, side, wide }) {
  return dialog({ title, side, wide, content: (close) => [intro && h('p', null, intro), form({
    fields, action, kind, cancel: () => close(), onSubmit: async (values) => close((await onSubmit(values)) ?? true),
  })] }).closed;
}

/** Shows a secret that will never be shown again. */
export function secretDialog({ title, text, secret, content }) {
  return dialog({ title, locked: true, content: (close) => [h('p', null, text),
    h('div.secret', null, h('code', { tabindex: 0, 'aria-label': title }, secret), button(t('ui.copy'), { icon: 'copy', kind: 'primary', onClick: () => copy(secret) })),
    content, h('div.actions', null, button(t('ui.savedIt'), { onClick: () => close(true) }))] }).closed;
}

// Layout

/** The heading of a page, with its actions at the right. */
export const heading = (title, ...actions) =>
  h('header.page-head', null, h('h1', { tabindex: -1 }, title), h('div.page-actions', null, actions));

/** A framed part of a page. */
export function card(title, ...content) {
  const id = nextId('card');
  return h('section.card', title ? { 'aria-labelledby': id } : null, title && h('h2', { id }, title), content);
}

/** A figure with its name. */
export const tile = (label, value, hint, kind) =>
  h('div.tile', { class: kind }, h('dt', null, label), h('dd', null, value), hint && h('dd.muted', null, hint));

export const tiles = (...list) => h('dl.tiles', null, list);

/** Names with values, one below the other. Pairs with a value of null are left out. */
export const facts = (...pairs) => h('dl.facts', null, pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== false)
  .map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));

/** A bar between 0 and 1, such as a budget's use. */
export function meter(fraction, label) {
  const value = Math.max(0, Math.min(1, fraction));
  const node = h('div.meter', { role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(value * 100), 'aria-label': label,
    class: value >= 1 ? 'bad' : value >= 0.8 ? 'warn' : null }, h('div', { style: { width: `${value * 100}%` } }));
  return node;
}

/** Choices of which one holds: ranges, views. `options`: `[value, label]` pairs. `choose` of the answer shows another one, or none for null. */
export function choices(label, options, value, onChange) {
  const node = h('div.choices', { role: 'group', 'aria-label': label });
  const show = (chosen) => replace(node, options.map(([key, text]) => h('button', { type: 'button', 'aria-pressed': String(key === chosen), on: {
    click: () => {
      if (key === chosen) return;
      show(key);
      node.querySelector('[aria-pressed="true"]').focus();
      onChange(key);
    },
  } }, text)));
  show(value);
  node.choose = show;
  return node;
}

// Loading

/**
 * Draws a place anew, such that whoever uses it hardly notices: who was on its third button is on its third button again,
 * what was unfolded stays so, and what was scrolled stays where it was.
 */
export function keeping(place, draw) {
  const stops = () => [...place.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
  const folds = () => [...place.querySelectorAll('details')];
  const frames = () => [...place.querySelectorAll('.table-frame')];
  const at = stops().indexOf(document.activeElement);
  const open = folds().map((one) => one.open);
  const scrolled = frames().map((one) => one.scrollLeft);
  draw();
  folds().forEach((one, index) => open[index] && (one.open = true));
  frames().forEach((one, index) => scrolled[index] && (one.scrollLeft = scrolled[index]));
  if (at >= 0) stops()[at]?.focus({ preventScroll: true });
}

/**
 * A part of a page that loads: what was there stays while it loads again, and is dimmed after 200 ms; an error has its cause and "Retry".
 * @param {(signal: AbortSignal) => Promise<*>} load
 * @param {(data: *, reload: () => Promise<void>) => Node|Node[]} render
 * @returns {HTMLElement & {reload: () => Promise<void>}}
 */
export function live(load, render, { signal, skeleton = 3 } = {}) {
  const node = h('div.live', { 'aria-busy': 'true' }, Array.from({ length: skeleton }, () => h('div.skeleton', { 'aria-hidden': 'true' })));
  let turn = 0;
  node.reload = async () => {
    const mine = (turn += 1);
    node.setAttribute('aria-busy', 'true');
    const dimming = setTimeout(() => node.classList.add('dim'), 200);
    try {
      const data = await load(signal);
      if (mine === turn) keeping(node, () => replace(node, render(data, node.reload)));
    } catch (error) {
      if (mine === turn && error?.name !== 'AbortError') replace(node, problem(error, node.reload));
    } finally {
      clearTimeout(dimming);
      if (mine === turn) {
        node.classList.remove('dim');
        node.removeAttribute('aria-busy');
      }
    }
  };
  node.reload();
  return node;
}
