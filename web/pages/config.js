// The configuration files with their diagnostics, and the secrets that they name.

import { channelLink, contains, tabs } from '../lib/admin.js';
import { del, get, post, put } from '../lib/api.js';
import { bytes, h, icon, replace, t } from '../lib/base.js';
import { table } from '../lib/table.js';
import { badge, button, code, confirm, dialog, empty, field, heading, live, note, problem, toast } from '../lib/ui.js';

/**
 * @param {{label: string, onInput: (text: string) => void}} o
 * @returns {{node: HTMLElement, value: () => string, set: (text: string, isLocked: boolean) => void, go: (line: number, column: number) => void}}
 */
function editor(o) {
  const numbers = h('pre.line-numbers', { 'aria-hidden': 'true' });
  const area = h('textarea.mono', { 'aria-label': o.label, wrap: 'off', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', on: {
    input: () => {
      count();
      o.onInput(area.value);
    },
    scroll: () => (numbers.scrollTop = area.scrollTop),
  } });
  let lines = 0;
  const count = () => {
    const now = area.value.split('\n').length;
    if (now !== lines) numbers.textContent = Array.from({ length: now }, (_, index) => index + 1).join('\n');
    lines = now;
  };
  return {
    node: h('div.editor', null, numbers, area),
    value: () => area.value,
    set(text, isLocked) {
      area.value = text;
      area.readOnly = isLocked;
      area.scrollTop = 0;
      count();
    },
    go(line, column) {
      const before = area.value.split('\n').slice(0, line - 1);
      const start = before.reduce((sum, one) => sum + one.length + 1, 0);
      const length = area.value.slice(start).split('\n', 1)[0].length;
      const at = start + Math.min(Math.max(0, column - 1), length);
      area.focus();
      area.setSelectionRange(at, Math.max(at, start + length));
      const height = area.scrollHeight / Math.max(1, lines);
      area.scrollTop = Math.max(0, (line - 4) * height);
    },
  };
}

/** Two versions of a text beside each other; lines that the other one does not have are marked. */
function versions(leftTitle, left, rightTitle, right) {
  const side = (title, text, other) => {
    const known = new Set(other.split('\n'));
    return h('figure', null, h('figcaption', null, title),
      h('pre', { tabindex: 0 }, text.split('\n').map((line) => h('span', { class: known.has(line) ? null : 'differs' }, line, '\n'))));
  };
  return h('div.versions', null, side(leftTitle, left, right), side(rightTitle, right, left));
}

export default function page(ctx) {
  const reload = button(t('config.reload'), { icon: 'refresh', onClick: async () => {
    const { warnings } = await post('/api/config/reload');
    toast(warnings.length ? t('config.reloadedWarnings', { count: warnings.length }) : t('config.reloaded'));
  } });
  return [heading(t('nav.config'), reload), ...tabs(ctx, t('config.views'), [['files', t('config.files'), files], ['secrets', t('config.secrets'), secrets]])];
}

// Files

const files = (ctx) => live((signal) => get('/api/config', {}, { signal }), (config) => workbench(ctx, config), { signal: ctx.signal, skeleton: 6 });

/** Text typed into a file stays while another one, or another page, is looked at. */
const buffers = new Map();
addEventListener('beforeunload', (event) => isChanged(buffers) && event.preventDefault());

function workbench(ctx, config) {
  // Read unchanged files again, and those that no longer exist.
  for (const [path, buffer] of buffers) {
    if (buffer.text === buffer.saved || !config.files.some((file) => file.path === path)) buffers.delete(path);
  }
  const bench = { ctx, config, buffers, path: null, found: h('div', { 'aria-live': 'polite' }), names: h('ul.file-list', { 'aria-label': t('config.files') }) };
  bench.text = editor({ label: t('config.text'), onInput: (text) => {
    buffers.get(bench.path).text = text;
    marked(bench);
  } });
  bench.bar = h('div.row.spread.editor-bar');
  // Elsewhere files are named with the folder of the configuration.
  const wanted = ctx.query.get('path') ?? '';
  const first = config.files.find((file) => file.path === wanted || wanted.endsWith(`/${file.path}`)) ?? config.files[0];
  const search = field({ label: t('config.find'), name: 'find', type: 'search' });
  search.input.addEventListener('input', () => drawNames(bench, search.value()));
  bench.search = search;
  drawNames(bench, '');
  showFindings(bench, config.diagnostics);
  open(bench, first.path, Number(ctx.query.get('line')) || null, Number(ctx.query.get('column')) || 1);
  return [config.read_only && note('info', t('config.readOnly')),
    h('div.workbench', null, h('div', null, search.node, bench.names), h('div', null, bench.bar, bench.text.node, bench.found))];
}

const isChanged = (buffers) => [...buffers.values()].some((buffer) => buffer.text !== buffer.saved);

function drawNames(bench, search) {
  replace(bench.names, bench.config.files.filter((file) => contains(search, file.path)).map((file) => {
    const buffer = bench.buffers.get(file.path);
    const isHere = file.path === bench.path;
    return h('li', null, h('button', { type: 'button', 'aria-current': isHere ? 'true' : null, on: { click: () => open(bench, file.path) } },
      file.path, buffer && buffer.text !== buffer.saved && h('span.muted', null, ` ${t('config.changed')}`)));
  }));
}

async function open(bench, path, line = null, column = 1) {
  let buffer = bench.buffers.get(path);
  bench.path = path;
  if (!buffer) {
    replace(bench.bar, h('span.muted', null, t('config.loading')));
    bench.drawn = null;
    // Text typed now would be taken for the contents of this file.
    bench.text.set('', true);
    try {
      const file = await get('/api/config/file', { path }, { signal: bench.ctx.signal });
      buffer = { text: file.text, saved: file.text, etag: file.etag };
      bench.buffers.set(path, buffer);
    } catch (error) {
      if (error?.name !== 'AbortError' && bench.path === path) replace(bench.bar, problem(error, () => open(bench, path, line, column)));
      return;
    }
    if (bench.path !== path) return;
  }
  bench.ctx.setQuery({ path });
  bench.text.set(buffer.text, isLocked(bench, path));
  marked(bench);
  if (line) bench.text.go(line, column);
}

const fileOf = (bench, path) => bench.config.files.find((file) => file.path === path);
const isLocked = (bench, path) => bench.config.read_only || !fileOf(bench, path).writable;

/** Draws what says whether the file was changed, and what can be done with it. */
function marked(bench) {
  const buffer = bench.buffers.get(bench.path);
  const isLive = !isLocked(bench, bench.path);
  const isDirty = buffer.text !== buffer.saved;
  const key = `${bench.path} ${isDirty}`;
  if (bench.drawn === key) return;
  bench.drawn = key;
  const size = fileOf(bench, bench.path).bytes;
  replace(bench.bar, h('span', null, code(bench.path), ' ', h('span.muted', null, bytes(size)), ' ', !isLive ? badge(t('config.locked'))
    : isDirty && badge(t('config.unsaved'), 'warn')),
    h('span.row', null, button(t('channels.check'), { onClick: () => check(bench) }),
      isLive && isDirty && button(t('config.undo'), { kind: 'quiet', onClick: () => take(bench, buffer.saved, buffer.etag) }),
      isLive && button(t('ui.save'), { kind: 'primary', disabled: !isDirty, onClick: () => save(bench) })));
  drawNames(bench, bench.search.value());
}

function take(bench, text, etag) {
  bench.buffers.set(bench.path, { text, saved: text, etag });
  bench.text.set(text, isLocked(bench, bench.path));
  marked(bench);
}

async function check(bench) {
  const { diagnostics } = await post('/api/config/check', { path: bench.path, text: bench.text.value() });
  showFindings(bench, diagnostics, true);
}

async function save(bench) {
  const { path } = bench;
  const buffer = bench.buffers.get(path);
  const { text } = buffer;
  try {
    const saved = await put('/api/config/file', { path, text }, { headers: { 'If-Match': `"${buffer.etag}"` } });
    Object.assign(buffer, { saved: text, etag: saved.etag });
    fileOf(bench, path).bytes = new TextEncoder().encode(text).length;
    toast(t('config.saved', { path }));
    showFindings(bench, saved.diagnostics ?? [], true);
  } catch (error) {
    if (error.code === 'etag_mismatch') await conflict(bench, path, text);
    else if (error.details?.diagnostics) {
      showFindings(bench, error.details.diagnostics, true);
      toast(t('config.notSaved'), 'bad');
    } else throw error;
  }
  bench.drawn = null;
  marked(bench);
}

/** Somebody else has changed the file: both versions, and a choice. */
async function conflict(bench, path, mine) {
  const theirs = await get('/api/config/file', { path });
  const choice = await dialog({ title: t('config.conflict', { path }), wide: true, content: (close) => [h('p', null, t('config.conflictText')),
    versions(t('config.theirs'), theirs.text, t('config.mine'), mine),
    h('div.actions', null, button(t('config.takeMine'), { kind: 'danger', onClick: () => close('mine') }),
      button(t('config.takeTheirs'), { onClick: () => close('theirs') }),
      button(t('config.keepEditing'), { kind: 'quiet', onClick: () => close() }))] }).closed;
  if (choice && bench.path !== path) await open(bench, path);
  if (choice === 'theirs') take(bench, theirs.text, theirs.etag);
  if (choice !== 'mine') return;
  bench.buffers.set(path, { text: mine, saved: theirs.text, etag: theirs.etag });
  await save(bench);
}

/** Diagnostics; each is a way to its place. */
function showFindings(bench, diagnostics, isAsked = false) {
  if (!diagnostics.length) return replace(bench.found, isAsked && h('p.saved', null, icon('check'), t('config.fine')));
  return replace(bench.found, h('ul.findings', { 'aria-label': t('config.findings') }, diagnostics.map((one) => {
    const isOurs = Boolean(fileOf(bench, one.file)) && one.line > 0;
    const place = `${one.file}:${one.line}:${one.column}`;
    return h('li', null, badge(t(`config.severity.${one.severity}`), one.severity === 'error' ? 'bad' : 'warn'),
      isOurs ? h('button.sort.mono', { type: 'button', on: { click: () => open(bench, one.file, one.line, one.column) } }, place) : code(place),
        h('span', { lang: 'en' }, one.message));
  })));
}

// Secrets

const kinds = { environment: 'good', console: 'good', missing: 'warn' };

const secrets = (ctx) => live((signal) => get('/api/secret', {}, { signal }),
  (list, reload) => (list.length === 0 ? empty(t('secrets.none'), t('secrets.noneText'))
  : h('div.list', null, h('p.intro', null, t('secrets.text')), table({
    caption: t('config.secrets'), rows: list, columns: [
      { title: t('field.name'), cell: (secret) => code(secret.name) },
      { title: t('field.status'), cell: (secret) => [badge(t(`secrets.status.${secret.status}`), kinds[secret.status]),
        secret.problem && h('span.muted', { lang: 'en' }, secret.problem)] },
      { title: t('secrets.usedBy'), cell: (secret) =>
        secret.used_by.map((one, index) => [index > 0 && ', ', one.kind === 'channel' ? channelLink(one.id, one.name) : one.name]) },
      { title: t('admin.actions'), class: 'nowrap', cell: (secret) => h('span', null,
        secret.status !== 'environment' && button(t(secret.status === 'missing' ? 'secrets.set' : 'secrets.replace'), { onClick: async () => {
          const { secretDialog } = await import('../lib/channel.js');
          const user = secret.used_by.find((one) => one.kind === 'channel');
          if (await secretDialog(secret.name, user)) await reload();
        } }), ' ',
        secret.status === 'console' && button('', { icon: 'trash', kind: 'quiet', title: t('secrets.delete', { name: secret.name }), onClick: async () => {
          if (!(await confirm({ title: t('keys.deleteOf', { name: secret.name }), text: t('secrets.deleteText'), action: t('ui.delete') }))) return;
          await del(`/api/secret/${encodeURIComponent(secret.name)}`);
          await reload();
        } })) },
    ],
  }))), { signal: ctx.signal });
