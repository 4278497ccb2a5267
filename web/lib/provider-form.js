// The form in which root declares and changes a provider of one's own, and the question before it goes. Loaded when one is opened.

import { del, get, post, put } from './api.js';
import { addTexts, h, t } from './base.js';
import { filled, headersOf, pricedModelsField } from './channel-fields.js';
import { button, dialog, field, fieldRow, form, formDialog, toast } from './ui.js';

await addTexts('forms');

/** Protocols that a gateway speaks with vendors. */
const families = ['openai', 'anthropic', 'gemini', 'azure-openai', 'bedrock', 'cohere', 'openrouter'];

/** Deletes a provider with the channels of the console that use it. Those of files have to go from their files first. */
export async function removeProvider(provider) {
  const ofFiles = provider.channels.filter((channel) => channel.source?.kind !== 'console');
  const ofConsole = provider.channels.filter((channel) => channel.source?.kind === 'console');
  const names = (channels) => h('ul', null, channels.map((channel) => h('li', null, channel.name)));
  const title = t('channels.deleteProviderTitle', { name: provider.display_name });
  if (ofFiles.length) {
    await dialog({ title, content: (close) => [h('p', null, t('providers.usedByFiles')), names(ofFiles),
      h('div.actions', null, button(t('ui.close'), { onClick: () => close() }))] }).closed;
    return false;
  }
  const isDone = await formDialog({
    title, kind: 'danger', action: ofConsole.length ? t('providers.deleteAll', { count: ofConsole.length }) : t('ui.delete'),
    fields: [ofConsole.length ? h('div.stack-tight', null, h('p', null, t('providers.usedBy')), names(ofConsole)) : h('p', null, t('providers.unused'))],
    onSubmit: async () => {
      for (const channel of ofConsole) await del(`/api/channel/${channel.id}`);
      await del(`/api/provider/${encodeURIComponent(provider.name)}`);
    },
  });
  if (isDone) toast(t('providers.deleted', { name: provider.display_name }));
  return Boolean(isDone);
}

/** The form of a provider. Answers whether something was saved. @param {object|null} provider null = a new one */
export async function providerDialog(provider) {
  const config = provider ? (await get(`/api/provider/${encodeURIComponent(provider.name)}`)).config ?? {} : {};
  const text = (name, label, options = {}) => field({ name, label, required: false, value: config[name] ?? '', ...options });
  // Values of headers are never sent back: a name alone stands for what is stored.
  const headers = Object.keys(config.headers ?? {}).map((name) => `${name}:`).join('\n');
  const isLost = 'headers' in config && config.headers === null;
  const models = pricedModelsField(config.models, 'models');
  const fields = {
    name: !provider && text('name', t('channels.providerName'), { required: true, mono: true, hint: t('channels.providerNameHint') }),
    display_name: text('display_name', t('providers.displayName'), { maxlength: 200 }),
    base_url: text('base_url', t('channels.field.base_url'), { type: 'url', required: true, mono: true, placeholder: 'https://llm.example.org/v1' }),
    family: text('family', t('providers.family'), { type: 'select', required: undefined, hint: t('providers.familyHint'), options: families,
      value: config.family ?? 'openai' }),
    key_url: text('key_url', t('providers.keyURL'), { type: 'url', mono: true, hint: t('providers.keyURLHint'), placeholder: 'https://' }),
    needs_key: text('needs_key', t('providers.needsKey'), { type: 'checkbox', required: undefined, value: config.auth?.type !== 'none' }),
    free: text('free', t('providers.free'), { type: 'checkbox', required: undefined, value: provider?.free ?? false, hint: t('providers.freeHint') }),
    headers: text('headers', t('channels.field.headers'), { type: 'textarea', mono: true, rows: 3, value: headers, placeholder: 'X-Team: llm',
      hint: t(isLost ? 'channels.sealLost' : headers ? 'providers.headersStored' : 'channels.headersHint') }),
  };
  const given = () => ({
    name: fields.name ? fields.name.value().trim() : undefined, display_name: fields.display_name.value().trim() || null,
    base_url: fields.base_url.value().trim(), family: fields.family.value(), key_url: fields.key_url.value().trim() || null,
    needs_key: fields.needs_key.value(), free: fields.free.value(), models: models.value(),
    headers: fields.headers.value().trim() ? headersOf(fields.headers.value()) : null,
  });
  const begun = given();
  const body = () => {
    const now = given();
    if (!provider) return filled({ ...now, family: now.family === 'openai' ? null : now.family });
    // Only what was changed is sent: the rest stays as it is. Headers that nobody can read any more have to be given anew.
    const isSent = (name) => JSON.stringify(now[name]) !== JSON.stringify(begun[name]) || (name === 'headers' && isLost);
    return Object.fromEntries(Object.entries(now).filter(([name]) => isSent(name)));
  };
  return dialog({
    title: provider ? t('providers.edit', { name: provider.display_name }) : t('providers.add'), wide: true,
    content: (close) => form({
      fields: [fieldRow(...[fields.name, fields.display_name].filter(Boolean)), fields.base_url, fieldRow(fields.family, fields.key_url),
        fieldRow(fields.needs_key, fields.free), { fields: [models], node: models.node }, fields.headers],
      action: t('ui.save'), cancel: () => close(false),
      onSubmit: async () => {
        if (provider) await put(`/api/provider/${encodeURIComponent(provider.name)}`, body());
        else await post('/api/provider', body());
        toast(t('ui.saved'));
        close(true);
      },
    }),
  }).closed;
}
