// The module of the Workers runtime, as far as it is used here.
declare module 'cloudflare:workers' {
  type Socket = import('./runtime.ts').HibernatableWebSocket;

  interface ObjectState {
    readonly storage: import('./sql-checkpoint-store.ts').SqlCheckpointStorage & {
      setAlarm: (at: number) => Promise<void>;
      deleteAlarm: () => Promise<void>;
    };
    acceptWebSocket: (socket: Socket) => void;
    getWebSockets: () => Socket[];
  }

  export abstract class DurableObject<Environment> {
    protected readonly ctx: ObjectState;
    protected readonly env: Environment;
    constructor(ctx: ObjectState, env: Environment);
  }
}
