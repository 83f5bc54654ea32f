// `npm run follow [-- SINCE]`: prints each frame of the server's feed on a line, from after sequence SINCE (0: from the
// beginning), without it from now on. Ends with the connection, naming the SINCE that resumes it.
import { findServer } from './connection.mjs';

const NORMAL_CLOSURE = 1000;

async function main() {
  const since = process.argv[2];
  if (process.argv.length > 3 || (since !== undefined && !/^\d+$/.test(since)))
    throw new Error('usage: npm run follow [-- SINCE], where SINCE is a sequence number; 0 is the beginning');
  if (typeof WebSocket === 'undefined')
    throw new Error(`Node ${process.version} has no WebSocket. \`npm run follow\` brings its own Node.`);

  const { url, token } = await findServer();
  const target = `${url.replace(/^http/, 'ws')}/ws/events${since === undefined ? '' : `?since=${since}`}`;
  // A WebSocket of the web platform sets no headers: the token travels as a subprotocol.
  const bearer = `cellos.bearer.${Buffer.from(token).toString('base64url')}`;
  const socket = new WebSocket(target, [bearer, 'cellos.v1']);
  let last = since;

  socket.addEventListener('open', () => console.error(`Following ${target} (Ctrl-C ends it)`));
  socket.addEventListener('message', ({ data }) => {
    console.log(data);
    last = /^\{"seq":(\d+)/.exec(data)?.[1] ?? last;
  });
  socket.addEventListener('close', ({ code, reason }) => {
    const resume = last === undefined ? '' : ` \`npm run follow -- ${last}\` goes on from there.`;
    console.error(`The feed was closed (${code}${reason ? `, ${reason}` : ''}).${resume}`);
    process.exitCode = code === NORMAL_CLOSURE ? 0 : 1;
  });
  // `head` and the like close our output when they have seen enough.
  process.stdout.on('error', () => process.exit(0));
}

await main().catch((error) => {
  console.error(`follow: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
