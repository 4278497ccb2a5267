// A button that loads a file of rows, shows how far it is, and can be stopped.

import { download } from './api.js';
import { h, icon, replace } from './dom.js';
import { percent, t } from './i18n.js';
import { report, toast } from './ui.js';

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
      await download(path, query(), name, show, running.signal);
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
