// The form of a channel: a provider, keys, models, and what else may be set. Loaded when it is opened.

import { contains } from './admin.js';
import { runTest } from './channel.js';
import { get, post, put } from './api.js';
import { addTexts, h, icon, number, replace, t } from './base.js';
import { checksField, filled, headersOf, keysField, modelsField, pricedModelsField } from './channel-fields.js';
import { button, dialog, empty, field, form, linkButton, live } from './ui.js';

await addTexts('forms');

/**
 * Opens the form. Answers whether something was saved.
 * @param {object} [channel] a channel of the console, with its `config`, to be changed
 * @param {string[]} [names] names of channels that there are
 */
export function channelDialog(ctx, channel, names = []) {
  const state = { saved: false };
  return dialog({
    title: channel ? t('channels.editTitle', { name: channel.name }) : t('channels.add'), wide: true,
    content: (close) => live(
      (signal) => Promise.all([get('/api/provider', {}, { signal }), get('/api/group', {}, { signal })]),
      ([providers, groups]) => {
        const host = h('div');
        const flow = { ctx, host, names, providers, groups: groups.map((group) => group.name), channel, state, close: () => close(state.saved) };
        if (channel) drawForm(flow, providers.find((one) => one.name === channel.provider)
          ?? { name: channel.provider, display_name: channel.provider, models: [], env: [] });
        else drawPicker(flow);
        return host;
      }, { signal: ctx.signal }),
  }).closed.then(() => state.saved);
}

// First the provider

function drawPicker(flow) {
  const search = field({ label: t('channels.findProvider'), name: 'provider', type: 'search', placeholder: t('channels.findProviderHint') });
  const results = h('ul.picker', { 'aria-label': t('channels.provider') });
  const item = (title, detail, choose) => h('li', null,
    h('button', { type: 'button', on: { click: choose } }, h('strong', null, title), h('span.muted', null, detail)));
  const draw = () => {
    const found = flow.providers.filter((one) => contains(search.value(), one.name, one.display_name, ...one.models.map((model) => model.name)));
    const own = flow.ctx.may('root') && item(t('channels.ownProvider'), t('channels.ownProviderText'), () => drawForm(flow, null));
    const isSearch = search.value().trim() !== '';
    replace(results, !isSearch && own,
      found.map((one) => item(one.display_name, [one.name, t('channels.modelCount', { count: one.model_count })].join(' · '), () => drawForm(flow, one))),
      isSearch && own, found.length === 0 && !flow.ctx.may('root') && h('li', null, empty(t('ui.noMatch'), t('channels.noProvider'))));
  };
  search.input.addEventListener('input', draw);
  draw();
  replace(flow.host, h('div.stack', null, search.node, results));
  setTimeout(() => search.input.focus());
}

// Then the rest

function chosenProvider(flow, provider) {
  return h('div.chosen', null, h('div', null, h('strong', null, provider?.display_name ?? t('channels.ownProvider')),
    h('span.muted', null, provider ? [provider.base_url, provider.family].filter(Boolean).join(' · ') : t('channels.ownProviderText'))),
  !flow.channel && button(t('channels.change'), { kind: 'quiet', onClick: () => drawPicker(flow) }));
}

/** A name for a new channel, such as `openai-2` where there is an `openai`. */
function freeName(flow, provider) {
  const begin = provider?.name ?? '';
  let name = begin;
  for (let count = 2; begin && flow.names.includes(name); count += 1) name = `${begin}-${count}`;
  return name;
}

function fieldsOf(flow, provider) {
  const config = flow.channel?.config ?? {};
  const isRoot = flow.ctx.may('root');
  const kept = isLost(flow) ? t('channels.sealLost') : flow.channel ? t('channels.keptWhenEmpty') : null;
  const text = (name, label, options = {}) => field({ label, name, required: false, ...options });
  const whole = (name, value, options = {}) => text(name, t(`channels.field.${name}`), { type: 'number', step: '1', min: 0, value, ...options });
  const own = provider ? null : {
    provider_name: field({ label: t('channels.providerName'), name: 'provider_name', required: true, mono: true, hint: t('channels.providerNameHint') }),
    provider_base_url: field({ label: t('channels.field.base_url'), name: 'provider_base_url', type: 'url', required: true, mono: true,
      placeholder: 'https://llm.example.org/v1' }),
    provider_models: pricedModelsField(),
  };
  const hint = !provider ? t('channels.keysOwn') : provider.needs_key === false ? t('channels.keysNone') : provider.env?.length
    ? t('channels.keysHint', { name: provider.env[0] }) : t('channels.keysMany');
  const keys = keysField({ existing: config.keys ?? [], hint, keyURL: provider?.key_url });
  const base = isRoot && provider && text('base_url', t('channels.field.base_url'),
    { type: 'url', mono: true, value: config.base_url, placeholder: provider.base_url });
  return {
    own, keys, name: field({ label: t('channels.name'), name: 'name', required: true, value: flow.channel?.name ?? freeName(flow, provider) }),
    models: provider && modelsField({ models: provider.models, value: config.models ?? ['*'], fetch: () => ({
      provider: provider.name, key: keys.value()?.[0] ?? null, base_url: (base && base.value()) || null, channel_id: flow.channel?.id ?? null,
    }) }),
    weight: whole('weight', config.weight ?? 100, { required: undefined, hint: t('channels.weightHint') }),
    priority: text('priority', t('channels.field.priority'),
      { type: 'number', step: '1', required: undefined, value: config.priority ?? 0, hint: t('channels.priorityHint') }),
    groups: checksField({ label: t('channels.groups'), name: 'groups', options: flow.groups, value: config.groups ?? ['default'] }),
    limits: ['rpm', 'tpm', 'concurrency'].map((name) => whole(`limits.${name}`, config.limits?.[name], { min: 1 })),
    timeouts: ['connect', 'first_byte', 'first_content', 'idle', 'total'].map((name) =>
      text(`timeouts.${name}`, t(`channels.field.timeouts.${name}`), { mono: true, value: config.timeouts?.[name], placeholder: '30s' })),
    account: text('account', t('channels.field.account'), { value: config.account, hint: t('channels.accountHint') }),
    conversion: text('conversion', t('channels.field.conversion'), { type: 'select', value: config.conversion ?? '', hint: t('channels.conversionHint'),
      options: [['', t('channels.asGateway')], ['lenient', t('channels.lenient')], ['strict', t('channels.strict')]] }),
    root: isRoot ? [base, text('proxy', t('channels.field.proxy'), { mono: true, hint: kept, placeholder: 'http://proxy:3128' }),
      text('headers', t('channels.field.headers'),
        { type: 'textarea', mono: true, rows: 2, hint: kept ?? t('channels.headersHint'), placeholder: 'X-Team: llm' }),
    ].filter(Boolean) : [],
  };
}

function drawForm(flow, provider) {
  const all = fieldsOf(flow, provider);
  const own = all.own ? Object.values(all.own) : [];
  const inputs = [all.name, ...own, all.keys, all.models, all.weight, all.priority, all.groups, ...all.limits, ...all.timeouts, all.account, all.conversion,
    ...all.root].filter(Boolean);
  const group = (...fields) => h('div.fields', null, fields.map((one) => one.node));
  const more = h('details', null, h('summary', null, t('channels.more')), h('div.stack', null, h('h3', null, t('channels.limits')), group(...all.limits),
    h('h3', null, t('channels.timeouts')), h('p.muted', null, t('channels.timeoutsHint')), group(...all.timeouts), group(all.account, all.conversion),
    all.root.length > 0 && [h('h3', null, t('channels.onlyRoot')), all.root.map((one) => one.node)]));
  let isTesting = true;
  const plain = button(t('ui.save'), { type: 'submit' });
  plain.addEventListener('click', () => (isTesting = false));
  const check = button(t('channels.check'), { kind: 'quiet', onClick: async () => {
    const id = flow.channel ? { id: flow.channel.id } : {};
    const { diagnostics } = await post('/api/channel/check', { ...id, ...body(flow, provider ?? { name: all.own.provider_name.value() }, inputs) });
    show(diagnostics, inputs, found, more);
  } });
  const found = h('div', { role: 'status' });
  const node = form({
    fields: [{ fields: inputs, node: h('div.stack', null, chosenProvider(flow, provider), group(all.name, ...own.slice(0, 2)), own[2]?.node, all.keys.node,
      all.models?.node,
      group(all.weight, all.priority), all.groups.node, more, found) }],
    action: t('channels.saveAndTest'), extra: [plain, check], cancel: flow.close,
    onSubmit: async () => {
      try {
        await save(flow, provider, inputs, isTesting);
      } catch (error) {
        if (error.details?.diagnostics) show(error.details.diagnostics, inputs, found, more);
        throw error;
      } finally {
        isTesting = true;
      }
    },
  });
  node.querySelector('.button.primary').addEventListener('click', () => (isTesting = true));
  replace(flow.host, node);
  setTimeout(() => (provider ? all.keys : all.name).input.focus());
}

/** Whether nobody can read what was stored of the channel's keys, proxy and headers: all three are sent again then. */
const isLost = (flow) => flow.channel?.config?.proxy === null && flow.channel.config.headers === null;

/** The body of POST, PUT and check, from the inputs. */
function body(flow, provider, inputs) {
  const values = Object.fromEntries(inputs.map((one) => [one.name, one.value()]));
  const part = (prefix) => filled(Object.fromEntries(Object.entries(values).filter(([key]) => key.startsWith(prefix)).map(([key, value]) =>
    [key.slice(prefix.length), value])));
  const result = {
    name: values.name.trim(), provider: provider.name, models: values.models ?? values.provider_models.map((model) => model.name),
    weight: values.weight ?? 100, priority: values.priority ?? 0, groups: values.groups, limits: part('limits.'), timeouts: part('timeouts.'),
    account: values.account || null, conversion: values.conversion || null,
    ...(isLost(flow) ? { keys: null, proxy: null, headers: null } : {}),
  };
  // Without keys the channel uses the variable that its provider names.
  if (values.keys?.length) result.keys = values.keys;
  if (values.base_url) result.base_url = values.base_url;
  else if ('base_url' in values && flow.channel?.config?.base_url) result.base_url = null;
  if (values.proxy) result.proxy = values.proxy;
  if (values.headers) result.headers = headersOf(values.headers);
  return result;
}

async function save(flow, provider, inputs, isTesting) {
  const value = (name) => inputs.find((one) => one.name === name).value();
  let chosen = provider;
  if (!chosen) {
    const name = value('provider_name').trim();
    const needsKey = (value('keys') ?? []).length > 0;
    const made = { name, needs_key: needsKey, display_name: value('name').trim() || name, base_url: value('provider_base_url').trim(),
      models: value('provider_models') };
    // A second attempt, after the channel was refused, changes the provider that the first one has made.
    const { name: _, ...changes } = made;
    if (flow.made === name) await put(`/api/provider/${encodeURIComponent(name)}`, changes);
    else await post('/api/provider', made);
    flow.made = name;
    chosen = { name };
  }
  const wanted = body(flow, chosen, inputs);
  const saved = flow.channel ? await put(`/api/channel/${flow.channel.id}`, wanted) : await post('/api/channel', wanted);
  flow.state.saved = true;
  if (!isTesting) return flow.close();
  flow.channel = { ...saved, config: { ...wanted, keys: [] } };
  const place = h('div', { 'aria-live': 'polite' });
  const actions = h('div.actions', null, button(t('channels.done'), { kind: 'primary', onClick: flow.close }),
    button(t('channels.testAgain'), { icon: 'play', onClick: () => runTest(place, saved.id, null, true) }),
      linkButton(`/console/channels/${saved.id}`, t('channels.open')));
  replace(flow.host, h('div.stack', null, h('p.saved', null, icon('check'), t('channels.saved', { name: saved.name, id: String(saved.id) })), place, actions));
  await runTest(place, saved.id, null, true);
  actions.querySelector('button').focus();
  return undefined;
}

/** Diagnostics beside the fields that they name, and the others together. */
function show(diagnostics, inputs, place, more) {
  const rest = [];
  let first = null;
  for (const one of inputs) one.error(null);
  for (const diagnostic of diagnostics) {
    const path = diagnostic.field ?? '';
    const named = inputs.filter((one) => path === one.name || path.startsWith(`${one.name}[`) || path.startsWith(`${one.name}.`))[0];
    if (named && diagnostic.severity !== 'warning') named.error(diagnostic.message);
    else rest.push(diagnostic);
    if (named && more.contains(named.input)) more.open = true;
    first ??= named;
  }
  replace(place, diagnostics.length === 0 && h('p.muted', null, t('channels.checked')),
    rest.map((one) => h('p', { class: one.severity === 'warning' ? 'muted' : 'field-error', lang: 'en' }, one.field && [h('code', null, one.field), ': '],
      one.message)),
    diagnostics.length > 0 && h('p.muted', null, t('channels.findings', { count: number(diagnostics.length) })));
  first?.input.focus();
}
