// The entry point on Node: `node adapters/node.ts`. Node keeps what it compiled between starts, a third of the start-up time;
// that has to be switched on before the server's modules are loaded, and static imports would be loaded first.
import { enableCompileCache } from 'node:module';

enableCompileCache();
await import('./node/server.ts');
