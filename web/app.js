// The application: who is here, which page the address names, and the frame around it.

import { get, guards, post, unreachable } from './lib/api.js';
import { addTexts, h, icon, language, money, remember, remembered, replace, setLanguage, start, store, stored, t } from './lib/base.js';
import { button, dialog, field, form, keeping, note, problem, report } from './lib/ui.js';

// Before the first paint, which waits for this module (`blocking="render"`), so that the theme does not flicker.
const theme = stored('theme');
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;

const roles = { user: 1, admin: 10, root: 100 };

/**
 * Every page: its address, the module that draws it (`pages/`), who may see it, and its place in the navigation.
 * `:name` stands for one part of an address, `*name` for the rest of it.
 */
const pages = [
  { path: '/', module: 'home', title: 'home.title' },
  { path: '/models', module: 'models', title: 'nav.models' },
  { path: '/models/*model', module: 'model', title: 'nav.models' },
  { path: '/login', module: 'login', title: 'login.action' },
  { path: '/register', module: 'register', title: 'register.title' },
  { path: '/console', module: 'overview', title: 'nav.overview', role: 'user', group: 'use', icon: 'overview' },
  { path: '/console/playground', module: 'playground', title: 'nav.playground', role: 'user', group: 'use', icon: 'playground' },
  { path: '/console/keys', module: 'keys', title: 'nav.keys', role: 'user', group: 'use', icon: 'keys' },
  { path: '/console/usage', module: 'usage', title: 'nav.usage', role: 'user', group: 'use', icon: 'usage' },
  { path: '/console/billing', module: 'billing', title: 'nav.billing', role: 'user', group: 'use', icon: 'billing' },
  { path: '/console/account', module: 'account', title: 'nav.account', role: 'user', group: 'use', icon: 'account' },
  { path: '/console/channels', module: 'channels', title: 'nav.channels', role: 'admin', group: 'operate', icon: 'channels' },
  { path: '/console/channels/:id', module: 'channel', title: 'nav.channels', role: 'admin' },
  { path: '/console/routes', module: 'routes', title: 'nav.routes', role: 'admin', group: 'operate', icon: 'routes' },
  { path: '/console/users', module: 'users', title: 'nav.users', role: 'admin', group: 'operate', icon: 'users' },
  { path: '/console/users/:id', module: 'user', title: 'nav.users', role: 'admin' },
  { path: '/console/pricing', module: 'pricing', title: 'nav.pricing', role: 'admin', group: 'operate', icon: 'pricing' },
  { path: '/console/logs', module: 'logs', title: 'nav.logs', role: 'admin', group: 'operate', icon: 'logs' },
  { path: '/console/money', module: 'money', title: 'nav.money', role: 'admin', group: 'operate', icon: 'money' },
  { path: '/console/audit', module: 'audit', title: 'nav.audit', role: 'root', group: 'operate', icon: 'audit' },
  { path: '/console/config', module: 'config', title: 'nav.config', role: 'root', group: 'run', icon: 'config' },
  { path: '/console/system', module: 'system', title: 'nav.system', role: 'root', group: 'run', icon: 'system' },
];

const root = document.getElementById('app');
const state = { user: null, status: null };

const may = (role) => (state.user?.role ?? 0) >= roles[role];

// Addresses

/** A part of an address as text; one that is not well formed stays as it was written. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function match(path) {
  const given = path.replace(/\/+$/, '').split('/');
  for (const page of pages) {
    const wanted = page.path.replace(/\/+$/, '').split('/');
    const parameters = {};
    const isSame = wanted.every((part, index) => {
      if (part.startsWith('*')) {
        parameters[part.slice(1)] = given.slice(index).map(decoded).join('/');
        return given.length > index;
      }
      if (part.startsWith(':')) {
        parameters[part.slice(1)] = decoded(given[index] ?? '');
        return Boolean(given[index]);
      }
      return part === given[index];
    });
    if (isSame && (given.length === wanted.length || page.path.includes('*'))) return { page, parameters };
  }
  return null;
}

/** Goes to an address of the console. */
function go(path, isReplacing = false) {
  history[isReplacing ? 'replaceState' : 'pushState'](null, '', path);
  return show();
}

document.addEventListener('click', (event) => {
  const anchor = event.target.closest?.('a[href]');
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || anchor.target || anchor.hasAttribute('download')) return;
  const url = new URL(anchor.href);
  if (url.origin !== location.origin || !match(url.pathname)) return;
  if (url.hash && url.pathname === location.pathname) return;
  event.preventDefault();
  go(url.pathname + url.search);
});
// A jump within a page is one in its history too, and must not draw it anew.
let address = location.pathname + location.search;
addEventListener('popstate', () => location.pathname + location.search !== address && show());

// Pages

let leaving = new AbortController();

/** The state that a page is given. */
function context(page, parameters, signal) {
  return {
    user: state.user, status: state.status, parameters, signal, go, may, path: location.pathname,
    query: new URLSearchParams(location.search),
    /** Keeps what a reader has chosen in the address, without a step in the history. */
    setQuery(values) {
      // A timer of a page that was left must not write into the next one's address.
      if (signal.aborted) return;
      const query = new URLSearchParams(values).toString();
      history.replaceState(null, '', location.pathname + (query ? `?${query}` : ''));
      address = location.pathname + location.search;
    },
    /**
     * Repeats while the page is open and visible. Not behind a dialog, whose opener must be there when it closes, nor during an action,
     * which draws its result itself, nor while somebody has marked a text, perhaps to copy it.
     */
    every(milliseconds, work) {
      if (signal.aborted) return;
      const timer = setInterval(() => !document.hidden && getSelection().isCollapsed && !document.querySelector('dialog[open], button[aria-busy="true"]')
        && work(), milliseconds);
      signal.addEventListener('abort', () => clearInterval(timer));
    },
    setTitle(text) {
      document.title = `${text} · ${state.status?.name ?? 'APIRouter'}`;
    },
    /** Asks the server anew who is logged in, and draws the frame with it. */
    refreshUser,
    /** Continues after a login. */
    entered,
  };
}

let visit = 0;

const moduleOf = (page) => import(`./pages/${page.module}.js`);

async function show() {
  const mine = (visit += 1);
  address = location.pathname + location.search;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  for (const open of document.querySelectorAll('dialog[open]')) open.close();
  const found = match(location.pathname);
  if (found?.page.role && !state.user) return go(`/login?next=${encodeURIComponent(location.pathname + location.search)}`, true);
  if (found && (found.page.module === 'login' || found.page.module === 'register') && state.user) return go('/console', true);
  const isConsole = Boolean(found?.page.role);
  const main = frame(found?.page, isConsole);
  main.setAttribute('aria-busy', 'true');
  document.title = `${t(found?.page.title ?? 'ui.notFound')} · ${state.status?.name ?? 'APIRouter'}`;
  let content;
  if (!found) {
    content = notice(t('ui.notFound'), t('ui.notFoundText'));
  } else if (found.page.role && !may(found.page.role)) {
    content = notice(t('ui.forbidden'), t('ui.forbiddenText', { role: t(`role.${roles[found.page.role]}`) }));
  } else {
    try {
      const isAdmins = isConsole && roles[found.page.role] >= roles.admin;
      const [module] = await Promise.all([loaded(() => moduleOf(found.page)), isAdmins && loaded(() => addTexts('admin'))]);
      // Whoever has gone on meanwhile does not want this page's calls and timers.
      if (mine !== visit) return;
      content = await module.default(context(found.page, found.parameters, signal));
    } catch (error) {
      if (mine !== visit || error?.name === 'AbortError') return;
      // A newer gateway has its modules at another address, which only a new load tells.
      const retry = error.isModule ? () => location.reload() : () => show();
      content = [h('header.page-head', null, h('h1', { tabindex: -1 }, t(found.page.title))), problem(error, retry)];
    }
  }
  if (mine !== visit) return;
  replace(main, content);
  main.removeAttribute('aria-busy');
  if (mine > 1) {
    scrollTo(0, 0);
    main.querySelector('h1')?.focus({ preventScroll: true });
  }
}

/** A module of a page. */
async function loaded(load) {
  try {
    return await load();
  } catch (error) {
    console.warn(error);
    throw Object.assign(unreachable(), { isModule: true });
  }
}

const notice = (title, text) => h('div.notice', null, h('h1', { tabindex: -1 }, title), h('p', null, text), h('a.button', { href: state.user ? '/console' : '/' }, t('ui.goHome')));

// The frame

let drawn = null;

/** Draws what surrounds a page, unless it is there already. */
function frame(page, isConsole) {
  const kind = `${isConsole} ${state.user?.id} ${state.user?.role} ${language()}`;
  if (drawn?.kind !== kind) {
    const main = h('main', { id: 'main', tabindex: -1 });
    const notices = isConsole && h('aside', { 'aria-label': t('low.label'), hidden: true });
    replace(root, h('a.skip', { href: '#main' }, t('ui.skip')), topbar(isConsole), isConsole
      ? h('div.shell', null, sidebar(), h('div.content', null, notices, main)) : main, isConsole && tabbar());
    root.className = isConsole ? 'console' : 'site';
    drawn = { kind, main, notices };
  }
  drawNotices();
  for (const anchor of root.querySelectorAll('nav a')) {
    const href = anchor.getAttribute('href');
    const isHere = href === location.pathname || (href !== '/console' && href !== '/' && location.pathname.startsWith(`${href}/`));
    if (isHere) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
  return drawn.main;
}

/** Little money left: said on every page of the console until it is sent away, for as long as this tab is open. */
function drawNotices() {
  const { notices } = drawn ?? {};
  if (!notices || !state.user) return;
  const { user } = state;
  const key = `lowBalance:${user.id}`;
  // Root is led to it by the first steps of a new gateway.
  const isStep = may('root') && location.pathname === '/console' && stored(`firstSteps:${user.id}`) !== 'done';
  notices.hidden = !user.low_balance || isStep || remembered(key) === 'hidden';
  if (notices.hidden) return replace(notices);
  return keeping(notices, () => replace(notices, note('warn', h('div.row.spread', null,
    h('p', null, t('low.text', { amount: money(user.balance) }), ' ', !may('root') && t('overview.lowAsk'), ' ',
      h('a', { href: '/console/account' }, t('low.threshold', { amount: money(user.low_balance_threshold) }))),
    h('div.row', null, may('root') && button(t('balance.add'), { onClick: async () => {
      const { addBalance } = await import('./lib/balance.js');
      if (!(await addBalance(user.id, user.username))) return;
      await refreshUser();
      // Others show no balance, but may hold what somebody has typed.
      if (/^\/console(\/billing)?$/.test(location.pathname)) await show();
    } }), button('', { icon: 'close', kind: 'quiet', title: t('low.hide'), onClick: () => {
      remember(key, 'hidden');
      drawNotices();
      drawn.main.focus();
    } }))))));
}

const visible = (group) => pages.filter((page) => page.group === group && may(page.role));

function sidebar() {
  return h('nav.sidebar', { 'aria-label': t('nav.label') }, ['use', 'operate', 'run'].map((group) => {
    const list = visible(group);
    return list.length > 0 && h('div', null, h('p.nav-group', { id: `nav-${group}` }, t(`nav.group.${group}`)),
      h('ul', { 'aria-labelledby': `nav-${group}` }, list.map((page) => h('li', null, h('a', { href: page.path }, icon(page.icon), t(page.title))))));
  }));
}

/** The navigation of a phone: four places, and the rest behind a button. */
function tabbar() {
  const all = ['use', 'operate', 'run'].flatMap(visible);
  const first = (may('admin') ? ['/console', '/console/playground', '/console/channels', '/console/logs'] : ['/console', '/console/playground', '/console/keys', '/console/usage'])
    .map((path) => all.find((page) => page.path === path));
  const item = (page) => h('a', { href: page.path }, icon(page.icon), h('span', null, t(page.title)));
  return h('nav.tabbar', { 'aria-label': t('nav.short') }, first.map(item), h('button', { type: 'button', on: { click: () => {
    dialog({ title: t('nav.label'), side: true, content: () => h('nav.sheet', { 'aria-label': t('nav.label') }, all.map(item)) });
  } } }, icon('more'), h('span', null, t('nav.more'))));
}

function topbar(isConsole) {
  const other = language() === 'zh' ? 'en' : 'zh';
  return h('header.topbar', null,
    h('a.brand', { href: '/' }, icon('channels', 20), state.status?.name ?? 'APIRouter'),
    !isConsole && h('nav', { 'aria-label': t('nav.label') }, h('a', { href: '/models' }, t('nav.models')), state.user && h('a', { href: '/console' }, t('nav.console'))),
    h('div.topbar-end', null,
      isConsole && h('button.jump', { type: 'button', on: { click: palette } }, icon('search', 16), h('span', null, t('palette.open')), h('kbd', null, 'Ctrl K')),
      h('button.button.quiet', { type: 'button', lang: other === 'zh' ? 'zh-CN' : 'en', on: {
        click: () => setLanguage(other).then(show).catch(report),
      } }, other === 'zh' ? '中文' : 'English'),
      themeButton(),
      state.user ? userMenu() : h('a.button.primary', { href: '/login' }, t('login.action'))));
}

function themeButton() {
  const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const node = button('', { icon: isDark() ? 'sun' : 'moon', kind: 'quiet', title: isDark() ? t('ui.light') : t('ui.dark'), onClick: () => {
    const theme = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('theme', theme);
    } catch {
      // Without storage the theme holds for this page only.
    }
    node.replaceWith((drawn.theme = themeButton()));
    drawn.theme.focus();
  } });
  return node;
}

function userMenu() {
  const menu = h('div.menu', { id: 'user-menu', popover: 'auto' },
    h('p.muted', null, t('nav.signedInAs', { name: state.user.username })),
    h('a', { href: '/console/account', on: { click: () => menu.hidePopover() } }, icon('account'), t('nav.account')),
    h('button', { type: 'button', on: { click: () => logout().catch(report) } }, icon('logout'), t('login.out')));
  return [h('button.button.quiet.user', { type: 'button', popovertarget: 'user-menu', 'aria-label': t('nav.menuOf', { name: state.user.username }) },
    h('span.avatar', { 'aria-hidden': 'true' }, [...state.user.username][0].toUpperCase())), menu];
}

async function logout() {
  await post('/api/user/logout');
  // A new load, so that nothing of this person stays in the page's memory for the next one.
  location.assign('/');
}

// The session

/** Who is here. A session that has ended does not change that: the next call asks for the password over the page, where nothing is lost. */
async function refreshUser() {
  const { user } = await get('/api/user/session', {}, { quiet: true });
  state.user = user ?? state.user;
  drawNotices();
  return state.user;
}

/** Continues at the page that was wanted. */
async function entered(next) {
  await refreshUser();
  drawn = null;
  const url = new URL(next?.startsWith('/') ? next : '/console', location.origin);
  const isOurs = url.origin === location.origin && match(url.pathname);
  await go(isOurs ? url.pathname + url.search : '/console', true);
}

/** Asks for the password over the page, so that nothing that was typed is lost. One dialog, however many calls wait for it. */
let asking = null;

function askPassword(title, text, isAnyone) {
  asking ??= dialog({ title, content: (close) => {
    const name = field({ label: t('field.username'), name: 'username', autocomplete: 'username', value: state.user?.username ?? '', required: true });
    const password = field({ label: t('field.password'), name: 'password', type: 'password', autocomplete: 'current-password', required: true });
    name.input.readOnly = !isAnyone;
    setTimeout(() => password.input.focus());
    return [h('p', null, text), form({ fields: [name, password], action: t('ui.continue'), cancel: () => close(false), onSubmit: async (values) => {
      await post('/api/user/login', { ...values, session: true }, { quiet: true });
      close(true);
    } })];
  } }).closed.then((value) => {
    asking = null;
    return value === true;
  });
  return asking;
}

guards.login = () => (state.user ? askPassword(t('login.again'), t('login.againText'), false) : Promise.resolve(false));
guards.password = () => askPassword(t('login.passwordAgain'), t('login.passwordAgainText'), false);

// The keyboard

function palette() {
  const all = pages.filter((page) => !/[:*]/.test(page.path) && (!page.role || may(page.role)) && !['login', 'register'].includes(page.module));
  const input = h('input.palette-input', {
    type: 'search', role: 'combobox', 'aria-label': t('palette.label'), 'aria-expanded': 'true', 'aria-controls': 'palette', autocomplete: 'off',
    spellcheck: 'false', on: { input: () => draw() },
  });
  const results = h('ul.palette', { id: 'palette', role: 'listbox', 'aria-label': t('palette.label') });
  const { node, close } = dialog({ title: t('palette.label'), content: () => [input, results] });
  function draw() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter((page) => words.every((word) => `${t(page.title)} ${page.path}`.toLowerCase().includes(word)));
    replace(results, found.map((page, index) => h('li', { role: 'option', id: `palette-${index}`, 'aria-selected': String(index === 0), on: { click: () => choose(page) } },
      icon(page.icon ?? 'arrow'), t(page.title), h('span.muted', null, page.path))));
    input.setAttribute('aria-activedescendant', found.length ? 'palette-0' : '');
  }
  function choose(page) {
    close();
    go(page.path);
  }
  function move(step) {
    const items = [...results.children];
    const at = items.findIndex((item) => item.getAttribute('aria-selected') === 'true');
    const next = items[(at + step + items.length) % items.length];
    for (const item of items) item.setAttribute('aria-selected', String(item === next));
    if (next) input.setAttribute('aria-activedescendant', next.id);
    next?.scrollIntoView({ block: 'nearest' });
  }
  node.addEventListener('keydown', (event) => {
    // An input method's own Enter and arrows, as of Pinyin.
    if (event.isComposing) return;
    if (event.key === 'ArrowDown') move(1);
    else if (event.key === 'ArrowUp') move(-1);
    else if (event.key === 'Enter') results.querySelector('[aria-selected="true"]')?.click();
    else return;
    event.preventDefault();
  });
  draw();
  input.focus();
}

addEventListener('keydown', (event) => {
  const isTyping = event.target.closest?.('input, textarea, select, [contenteditable]');
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && root.className === 'console' && !document.querySelector('dialog[open]')) {
    event.preventDefault();
    palette();
  } else if (!isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector('dialog[open]')) {
    if (event.key === '/') {
      const search = root.querySelector('main input[type="search"], main .filters input');
      if (search) event.preventDefault();
      search?.focus();
    } else if (event.key === 'j' || event.key === 'k') {
      const openers = [...root.querySelectorAll('main .row-open button')];
      const at = openers.indexOf(document.activeElement);
      openers[Math.max(0, Math.min(openers.length - 1, at + (event.key === 'j' ? 1 : -1)))]?.focus();
    }
  }
});

// The beginning

/** Pages that show what the gateway says of itself; the others need it now and then, and take what this browser was told a while ago. */
const telling = ['home', 'login', 'register'];

function told() {
  try {
    return JSON.parse(stored('status'));
  } catch {
    return null;
  }
}

async function loadStatus(page) {
  const known = told();
  if (known?.files === import.meta.url && Date.now() - known.at < 600_000 && !telling.includes(page?.module)) return known.status;
  const status = await get('/api/status', {}, { quiet: true });
  // With the version of these files, of which their address tells.
  store('status', JSON.stringify({ at: Date.now(), files: import.meta.url, status }));
  return status;
}

async function begin() {
  const page = match(location.pathname)?.page;
  // The page's module loads beside the texts and the calls; what is wrong with it is told when the page is shown.
  if (page) moduleOf(page).catch(() => null);
  const who = Promise.all([loadStatus(page), refreshUser()]);
  who.catch(() => null);
  await start();
  try {
    [state.status] = await who;
  } catch (error) {
    replace(root, h('main', null, h('h1', null, 'APIRouter'), problem(error, () => location.reload())));
    return;
  }
  await show();
}

begin();
