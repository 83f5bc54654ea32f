// The module that the vitest plugin offers to tests inside workerd, as far as it is used here.
declare module 'cloudflare:test' {
  type ObjectStub = { readonly __objectStub: true };
  export const env: { readonly CONTROL_PLANE: { getByName: (name: string) => ObjectStub } };
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
