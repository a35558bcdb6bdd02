/**
 * What a campaign generates programs from: the descriptions, which of them are switched on, and which calls make
 * which resources. A target is immutable; everything in `prog/` is handed one.
 */
import { type CallDescription, is_implemented } from './call.ts';
import { EVENT_CALLS } from './events.ts';
import { FILE_CALLS } from './files.ts';
import { IOCTL_CALLS } from './ioctls.ts';
import { MEMORY_CALLS } from './memory.ts';
import { PATH_CALLS } from './paths.ts';
import { PROCESS_CALLS } from './processes.ts';
import { SELDOM_CALLS } from './seldom.ts';
import { SIGNAL_CALLS } from './signals.ts';
import { SOCKET_CALLS } from './sockets.ts';
import { SYSTEM_CALLS } from './system.ts';
import { TIME_CALLS } from './time.ts';
import { type Direction, type Field, type Resource, resource_fits, type Type } from './types.ts';

/** Every description there is, of calls that the kernel implements and of others. */
export const DESCRIPTIONS: readonly CallDescription[] = [
  ...FILE_CALLS,
  ...PATH_CALLS,
  ...IOCTL_CALLS,
  ...MEMORY_CALLS,
  ...EVENT_CALLS,
  ...TIME_CALLS,
  ...SIGNAL_CALLS,
  ...PROCESS_CALLS,
  ...SYSTEM_CALLS,
  ...SOCKET_CALLS,
  ...SELDOM_CALLS,
];

export interface Target {
  /** The calls that programs are generated from. Never empty. */
  readonly calls: readonly CallDescription[];
  /** Every description by name: a program that was written by hand may use calls that are switched off. */
  readonly by_name: ReadonlyMap<string, CallDescription>;
  /** Why a description is not among `calls`. */
  readonly disabled: ReadonlyMap<string, string>;
  /** The calls of `calls` that make something usable as the resource. */
  readonly creators: ReadonlyMap<Resource, readonly CallDescription[]>;
}

export interface TargetOptions {
  readonly descriptions?: readonly CallDescription[];
  /** Which calls to use, by name of the description or of its row; default: all that the kernel implements. */
  readonly enable?: (description: CallDescription) => boolean;
}

/**
 * The target of some descriptions. A call that needs a resource which no enabled call makes is disabled too.
 * Throws an Error when two descriptions have one name, or when no call is left.
 */
export function make_target(options: TargetOptions = {}): Target {
  const descriptions = options.descriptions ?? DESCRIPTIONS;
  const by_name = new Map<string, CallDescription>();
  for (const description of descriptions) {
    if (by_name.has(description.name)) throw new Error(`two descriptions are called ${description.name}`);
    by_name.set(description.name, description);
  }
  const disabled = new Map<string, string>();
  for (const description of descriptions) {
    const reason = switched_off(description, options.enable ?? is_implemented);
    if (reason !== '') disabled.set(description.name, reason);
  }
  disable_orphans(descriptions, disabled);
  const calls = descriptions.filter(({ name }) => !disabled.has(name));
  if (calls.length === 0) throw new Error('no system call is enabled: widen --enable or narrow --disable');
  const creators = new Map<Resource, CallDescription[]>();
  for (const resource of all_resources(descriptions))
    creators.set(
      resource,
      calls.filter((description) => makes(description, resource)),
    );
  return { calls, by_name, disabled, creators };
}

function switched_off(description: CallDescription, enable: (description: CallDescription) => boolean): string {
  if (description.traits.by_hand !== undefined) return `written by hand only: ${description.traits.by_hand}`;
  return enable(description) ? '' : 'not enabled';
}

/** Disables calls whose resources nothing makes, until none is left. */
function disable_orphans(descriptions: readonly CallDescription[], disabled: Map<string, string>): void {
  for (let changed = true; changed; ) {
    changed = false;
    const calls = descriptions.filter(({ name }) => !disabled.has(name));
    for (const description of calls) {
      const missing = needed_resources(description).find((needed) => !calls.some((other) => makes(other, needed)));
      if (missing === undefined) continue;
      disabled.set(description.name, `no enabled call makes the resource ${missing.name}`);
      changed = true;
    }
  }
}

/** Calls `visit` for the type of each argument and of all it leads to, with the direction it has there. */
export function for_each_type(description: CallDescription, visit: (type: Type, dir: Direction) => void): void {
  for (const { type } of description.args) visit_type(type, 'in', visit);
}

function visit_type(type: Type, dir: Direction, visit: (type: Type, dir: Direction) => void): void {
  visit(type, dir);
  if (type.kind === 'ptr') visit_type(type.elem, type.dir, visit);
  else if (type.kind === 'array') visit_type(type.elem, dir, visit);
  else if (type.kind === 'struct' || type.kind === 'union') visit_fields(type.fields, dir, visit);
}

function visit_fields(fields: readonly Field[], dir: Direction, visit: (type: Type, dir: Direction) => void): void {
  for (const field of fields) visit_type(field.type, field.dir ?? dir, visit);
}

/** The resources that the call makes: its result, and what it writes to memory. */
export function made_resources(description: CallDescription): Resource[] {
  const found = new Set<Resource>(description.result === undefined ? [] : [description.result]);
  for_each_type(description, (type, dir) => {
    if (type.kind === 'resource' && dir === 'out') found.add(type.resource);
  });
  return [...found];
}

/** The resources that the call uses. */
export function needed_resources(description: CallDescription): Resource[] {
  const found = new Set<Resource>();
  for_each_type(description, (type, dir) => {
    if (type.kind === 'resource' && dir !== 'out') found.add(type.resource);
  });
  return [...found];
}

function makes(description: CallDescription, resource: Resource): boolean {
  return made_resources(description).some((made) => resource_fits(made, resource));
}

function all_resources(descriptions: readonly CallDescription[]): Set<Resource> {
  const found = new Set<Resource>();
  for (const description of descriptions)
    for (const resource of [...made_resources(description), ...needed_resources(description)]) found.add(resource);
  return found;
}
