// Trying models: one conversation, or two side by side, charged like any other call.

import { bytes, h, replace, store, stored, t } from '../lib/base.js';
import { allModels } from '../lib/models.js';
import { pane } from '../lib/pane.js';
import { button, empty, field, heading, linkButton, report, toast } from '../lib/ui.js';

/** The models to begin with: the address's, those of the last time, else the demo or the first of the list. */
function firstModels(ctx, models) {
  const isThere = (name) => models.some((model) => model.model_name === name);
  const wanted = ctx.query.get('model');
  if (wanted && isThere(wanted)) return [wanted];
  const last = (stored('playgroundModels') ?? '').split('\n').filter(isThere).slice(0, 2);
  if (last.length) return last;
  return [isThere('demo/echo') ? 'demo/echo' : models[0].model_name];
}

export default async function page(ctx) {
  const models = (await allModels()).filter((model) => model.endpoints.includes('chat'));
  if (!models.length) {
    return [heading(t('nav.playground')), empty(t('playground.noModels'), t('playground.noModelsText'),
      ctx.may('admin') && linkButton('/console/channels', t('steps.channelAction'), { kind: 'primary' }))];
  }
  const remember = () => store('playgroundModels', panes.map((one) => one.model).join('\n'));
  const open = (name) => pane(ctx, models, name, { onModel: remember });
  let panes = firstModels(ctx, models).map(open);
  const place = h('div.panes');
  const settings = settingsOf();
  const composer = composerOf(async (content) => {
    await Promise.all(panes.map((one) => one.send(content, settings.values())));
  }, () => panes.forEach((one) => one.stop()));
  // "Retry" in a pane runs as the composer's own sending does: "Stop" is there, and nothing is sent twice.
  const adopt = (one) => {
    one.resend = (content) => composer.run(() => one.send(content, settings.values()));
    return one;
  };
  panes.forEach(adopt);

  const compare = button('', { icon: 'columns', onClick: () => {
    if (panes.length === 2) {
      panes[1].stop();
      panes = [panes[0]];
    } else {
      const other = models.find((model) => model.model_name !== panes[0].model) ?? models[0];
      panes = [...panes, adopt(open(other.model_name))];
    }
    draw();
    remember();
  } });
  const draw = () => {
    replace(place, panes.map((one) => one.node));
    place.classList.toggle('two', panes.length === 2);
    replace(compare.querySelector('span') ?? compare.appendChild(h('span')), panes.length === 2 ? t('playground.one') : t('playground.two'));
    compare.classList.remove('bare');
    compare.setAttribute('aria-label', panes.length === 2 ? t('playground.one') : t('playground.two'));
  };
  draw();
  setTimeout(() => composer.focus());
  return h('div.playground', null,
    heading(t('nav.playground'), compare, button(t('playground.clear'), { icon: 'trash', onClick: () => panes.forEach((one) => one.clear()) })),
    h('div.playground-body', null, h('div.playground-main', null, place, composer.node), settings.node));
}

function settingsOf() {
  const system = field({ label: t('playground.system'), name: 'system', type: 'textarea', rows: 5, placeholder: t('playground.systemHint') });
  const temperature = field({ label: t('field.temperature'), name: 'temperature', type: 'number', min: 0, max: 2, step: '0.1',
    placeholder: t('playground.modelDefault') });
  const tokens = field({ label: t('field.max_tokens'), name: 'max_tokens', type: 'number', min: 1, step: '1', placeholder: t('playground.modelDefault') });
  return {
    values: () => ({ system: system.value().trim(), temperature: temperature.value(), max_tokens: tokens.value() }),
    node: h('details.settings', { open: matchMedia('(min-width: 1100px)').matches }, h('summary', null, t('playground.settings')), system.node,
      temperature.node, tokens.node),
  };
}

/** Where a turn is written: Ctrl+Enter sends it. */
function composerOf(send, stop) {
  const images = pictures();
  const input = h('textarea', { rows: 3, 'aria-label': t('playground.message'), placeholder: t('playground.placeholder'), on: {
    keydown: (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
      event.preventDefault();
      submit();
    },
    paste: (event) => event.clipboardData?.files.length && images.add([...event.clipboardData.files]),
  } });
  const sending = button(t('playground.send'), { type: 'submit', kind: 'primary', icon: 'arrow' });
  const stopping = button(t('export.stop'), { icon: 'stop', onClick: stop });
  stopping.hidden = true;
  // A pane's "Retry" may run beside the other pane's answer.
  let running = 0;

  async function run(work) {
    running += 1;
    sending.hidden = true;
    stopping.hidden = false;
    try {
      await work();
    } catch (error) {
      report(error);
    } finally {
      running -= 1;
      const hadFocus = document.activeElement === stopping;
      stopping.hidden = running === 0;
      sending.hidden = running > 0;
      if (hadFocus && running === 0) input.focus();
    }
  }

  function submit() {
    const text = input.value.trim();
    if (running > 0) return;
    if (!text) return input.focus();
    const urls = images.take();
    input.value = '';
    input.focus();
    run(() => send(urls.length ? [{ type: 'text', text }, ...urls.map((url) => ({ type: 'image_url', image_url: { url } }))] : text));
  }

  const node = h('form.composer', { on: { submit: (event) => {
    event.preventDefault();
    submit();
  } } }, images.chosen, input, h('div.composer-foot', null, images.button, images.input, h('span.muted.keys-hint', null, t('playground.keys')), sending,
    stopping));
  return { node, run, focus: () => input.focus() };
}

// Pictures that are sent along: as data URLs in the page's memory, and with a bound.

const largest = 4_000_000;
const most = 4;

const read = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** A button to choose pictures and the row of those that are chosen. */
function pictures() {
  let urls = [];
  const chosen = h('div.pictures', { 'aria-live': 'polite' });
  const input = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp,image/gif', multiple: true, hidden: true,
    'aria-label': t('playground.addPicture'), on: {
    change: async () => {
      await add([...input.files]);
      input.value = '';
    },
  } });
  const draw = () => replace(chosen, urls.map((url, index) => h('div.picture', null, h('img',
    { src: url, alt: t('playground.picture', { number: index + 1 }) }),
    button('', { icon: 'close', title: t('playground.removePicture', { number: index + 1 }), onClick: () => {
      urls = urls.filter((one) => one !== url);
      draw();
    } }))));
  async function add(files) {
    for (const file of files.filter((one) => one.type.startsWith('image/'))) {
      if (file.size > largest) toast(t('playground.pictureTooLarge', { name: file.name, bound: bytes(largest) }), 'bad');
      else if (urls.length >= most) toast(t('playground.tooManyPictures', { count: most }), 'bad');
      else urls = [...urls, await read(file)];
    }
    draw();
  }
  return {
    chosen, input, add, button: button('', { icon: 'picture', kind: 'quiet', title: t('playground.addPicture'), onClick: () => input.click() }),
    take() {
      const taken = urls;
      urls = [];
      draw();
      return taken;
    },
  };
}
