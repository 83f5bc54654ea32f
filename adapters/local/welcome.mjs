// What `npm start` prints when everything runs: what is where, and lines to paste into another terminal.

/**
 * @param {{ url: string, token: string, tokenKept: boolean, tokenSource: string, broker: string[] }} facts `broker` has one line each.
 * @returns {string}
 */
export function welcome({ url, token, tokenKept, tokenSource, broker }) {
  const authorization = quote(`Authorization: Bearer ${token}`);
  // Short on purpose: a first formation should be readable on the line that is pasted.
  const formation = JSON.stringify({
    name: 'hello',
    coordinator: 'lead',
    members: [{ id: 'lead' }, { id: 'worker', authorizedBy: 'lead' }],
  });
  // Scripts of this checkout find a kept token by themselves.
  const prefix = tokenKept ? '' : `CELLOS_SERVER_API_TOKEN=${quote(token)} `;
  return `
CellOS is running; Ctrl-C stops it.

  server   ${url}
  token    ${token}   (${tokenSource})
  broker   ${broker.join('\n           ')}

Paste into another terminal, in this folder:

  # create a formation
  curl -sS ${url}/v1/formations -H ${authorization} -d ${quote(formation)}

  # list formations
  curl -sS ${url}/v1/formations -H ${authorization}

  # follow the feed: every event so far, then live
  ${prefix}npm run follow -- 0

  # watch an example formation run from launch to completion
  ${prefix}npm run demo

With cellctl:

  export CELLCTL_SERVER=${url} CELLCTL_TOKEN=${quote(token)}
  cellctl get formations
  cellctl events --follow
`;
}

/**
 * One word for any POSIX shell.
 * @param {string} text
 */
function quote(text) {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
