/**
 * Calls between threads: comlink over a MessagePort. Loaded when a thread is about to be started, since most programs
 * end before.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Endpoint, Remote } from 'comlink';

/** The far end of an interface: every method answers a promise. */
export type Far<T> = Remote<T>;
export type Port = MessagePort;

/** What this uses of comlink's exports. */
interface Comlink {
  expose(object: unknown, endpoint: Endpoint): void;
  wrap<T>(endpoint: Endpoint): Remote<T>;
}

async function comlink(): Promise<Comlink> {
  // As a CommonJS module in a module graph its exports may be behind `default`.
  const loaded = (await import('comlink')) as unknown as Comlink & { default?: Comlink };
  return loaded.expose === undefined ? (loaded.default as Comlink) : loaded;
}

/** Two connected ports: one end stays, the other goes to a thread. */
export function make_ports(): [near: Port, far: Port] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
}

/** Serves the named methods of `object` on a port. `served` is called after each answer has been sent. */
export async function serve_calls<T extends object, K extends keyof T & string>(
  port: Port,
  object: T,
  methods: readonly K[],
  served: () => void,
): Promise<void> {
  const { expose } = await comlink();
  const calls: Record<string, unknown> = {};
  for (const name of methods)
    calls[name] = (...args: unknown[]) => {
      // The answer goes out in a microtask behind this call; the event loop's next phase comes after it.
      setImmediate(served);
      return (object[name] as (...args: unknown[]) => unknown).apply(object, args);
    };
  expose(calls, port as unknown as Endpoint);
}

/** The interface that the other end of a port serves. */
export async function connect_calls<T>(port: Port): Promise<Far<T>> {
  const { wrap } = await comlink();
  return wrap<T>(port as unknown as Endpoint);
}
