/** Comlink's ECMAScript build and its adapter for Node's message ports, which come without declarations. */
declare module 'comlink/dist/esm/comlink.mjs' {
  export { expose, type Remote, releaseProxy, wrap } from 'comlink';
}
declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { MessagePort } from 'node:worker_threads';
  import type { Endpoint } from 'comlink';

  const node_endpoint: (port: MessagePort) => Endpoint;
  // biome-ignore lint/style/noDefaultExport: this is the package's shape
  export default node_endpoint;
}
