// The server on Node: started by `npm run serve` or a service manager, and by `npm start` together with a broker.
import { readFileSync } from 'node:fs';
import process from 'node:process';

import { processClock } from '../process/clock.ts';
import { runServer } from '../process/server.ts';
import { connector } from './broker-connection.ts';
import { listen } from './http-server.ts';

// Whoever read the log may be gone, which is no reason to end.
process.stderr.on('error', () => {});

await runServer({
  environment: process.env,
  capabilities: { tcp: true, readTextFile: (path) => readFileSync(path, 'utf8') },
  connector,
  clock: processClock,
  writeLine: (line) => void process.stderr.write(`${line}\n`),
  listen,
  onSignal: (signal, run) => void process.on(signal, run),
  onExit: (run) => void process.on('exit', run),
  exit: (code) => process.exit(code),
});
