// The module that the vitest plugin offers to tests inside workerd, as far as it is used here.
declare module 'cloudflare:test' {
  type ObjectStub = {
    fetch: (request: Request) => Promise<Response & { webSocket: AcceptableSocket | null }>;
  };
  type AcceptableSocket = WebSocket & { accept: () => void };
  export const env: {
    readonly CONTROL_PLANE: { getByName: (name: string) => ObjectStub };
    readonly CELLOS_NATS_URL: string;
    readonly CELLOS_SERVER_API_TOKEN: string;
  };
  /** Runs the alarm now if one is set; tells whether it was. */
  export function runDurableObjectAlarm(stub: ObjectStub): Promise<boolean>;
  /** Runs in the object, beside whatever it does itself. */
  export function runInDurableObject<Result>(
    stub: ObjectStub,
    run: (
      instance: unknown,
      state: {
        readonly storage: import('../../adapters/cloudflare/sql-checkpoint-store.ts').SqlCheckpointStorage;
      },
    ) => Promise<Result>,
  ): Promise<Result>;
}
