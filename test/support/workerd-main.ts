// The Worker in a workerd, as a process: `workerdTarget` starts it. Its settings are not the Worker's variables, so that none of
// the latter can change how it is started.
import { WorkerdRuntime } from './workerd-runtime.ts';
import type { WorkerdSettings } from './workerd-server.ts';

const settings = JSON.parse(process.env['CELLOS_TEST_SETTINGS'] ?? '{}') as WorkerdSettings;

// On SIGTERM and SIGINT miniflare ends workerd and this process.
await WorkerdRuntime.start({
  ...settings,
  onLine: (line, level) => void (level === 'error' ? process.stderr : process.stdout).write(`${line}\n`),
});
