/** What a machine is made of, validated: the one place where options get their defaults and limits. */
import { PLATFORMS, type PlatformName } from '../platform/create.ts';
import { TvisorError } from './errors.ts';

/** A writable (or read-only) host directory in the guest's tree. */
export interface Volume {
  readonly host: string;
  /** Absolute guest path. */
  readonly guest: string;
  readonly read_only?: boolean;
}

/** Options of a machine. All are optional. */
export interface MachineOptions {
  /** Host directory that is the guest's root, read-only under a memory overlay; default '/'. */
  readonly root?: string;
  readonly volumes?: readonly Volume[];
  /** Guest RAM in bytes; default 1 GiB. */
  readonly memory?: number;
  /** Worker vCPUs, 0 to 64; default the number of cores. 0 is one vCPU in the calling thread. */
  readonly vcpus?: number;
  /** 'real' follows the host's clock; 'virtual' jumps to the next timer when every task sleeps. */
  readonly clock?: 'real' | 'virtual';
  /** Seed of the machine's randomness; without it, the host's entropy. */
  readonly seed?: number;
  readonly hostname?: string;
  /** How guest code is run: interpreted, or also translated where it is hot; default 'jit'. */
  readonly platform?: PlatformName;
  /** Traces system calls to this host file, which is appended to; '-' is stderr. */
  readonly strace?: string;
  readonly debug?: boolean;
  /** Counts what each translated region does, for `Machine.regions`; slower. */
  readonly inspect?: boolean;
  /** Samples what the vCPUs do, for `Machine.profile`. */
  readonly profile?: boolean;
  /** Checks the kernel's records for writes beyond their end and after they were freed; slower. */
  readonly sanitize?: boolean;
  /** The instrumented engine (tvisor do --kcov): globs of the source files that may report; default all. */
  readonly instrumentation_filter?: string;
}

/** MachineOptions with everything decided. */
export interface MachineConfig {
  readonly root: string;
  readonly volumes: readonly Volume[];
  readonly memory: number;
  readonly heap: number;
  /** vCPUs, at least 1. */
  readonly vcpus: number;
  /** The only vCPU is the calling thread. */
  readonly inline: boolean;
  readonly clock: 'real' | 'virtual';
  readonly seed: number | null;
  readonly hostname: string;
  readonly platform: PlatformName;
  /** '' is off, '-' stderr, else a host file. */
  readonly strace: string;
  readonly debug: boolean;
  readonly inspect: boolean;
  readonly profile: boolean;
  readonly sanitize: boolean;
  /** '' is all. */
  readonly instrumentation_filter: string;
}

const MIB = 1 << 20;
export const DEFAULT_MEMORY = 1024 * MIB;
export const MIN_MEMORY = 16 * MIB;
/** Guest RAM, kernel heap, vCPU areas and the frame table share 4 GiB of address space. */
export const MAX_MEMORY = 3072 * MIB;
export const MAX_VCPUS = 64;

/** Kernel heap for an amount of guest RAM: a sixteenth of it, within 32 and 128 MiB. */
function heap_for(memory: number): number {
  return Math.min(Math.max(Math.floor(memory / 16 / 65536) * 65536, 32 * MIB), 128 * MIB);
}

/** Fills in defaults. `cores` is the host's. Throws a TvisorError for a value outside its range. */
export function machine_config(options: MachineOptions, cores: number): MachineConfig {
  const asked = options.vcpus ?? Math.min(cores, MAX_VCPUS);
  if (!Number.isInteger(asked) || asked < 0 || asked > MAX_VCPUS)
    throw new TvisorError(`${asked} vCPUs is not possible`, `ask for 0 (inline) to ${MAX_VCPUS}`);
  const memory = options.memory ?? DEFAULT_MEMORY;
  if (!(memory >= MIN_MEMORY && memory <= MAX_MEMORY))
    throw new TvisorError(
      `guest memory of ${memory} bytes is not possible`,
      `ask for ${MIN_MEMORY / MIB}M to ${MAX_MEMORY / MIB}M`,
    );
  const platform = options.platform ?? 'jit';
  if (!PLATFORMS.includes(platform))
    throw new TvisorError(`there is no platform '${platform}'`, `use one of ${PLATFORMS.join(', ')}`);
  for (const { guest } of options.volumes ?? [])
    if (!guest.startsWith('/'))
      throw new TvisorError(`volume target '${guest}' is not absolute`, 'write HOST:/GUEST[:ro]');
  return {
    root: options.root ?? '/',
    volumes: options.volumes ?? [],
    memory: Math.floor(memory / 65536) * 65536,
    heap: heap_for(memory),
    vcpus: Math.max(asked, 1),
    inline: asked === 0,
    clock: options.clock ?? 'real',
    seed: options.seed ?? null,
    hostname: options.hostname ?? 'tvisor',
    platform,
    strace: options.strace ?? '',
    debug: options.debug ?? false,
    inspect: options.inspect ?? false,
    profile: options.profile ?? false,
    sanitize: options.sanitize ?? false,
    instrumentation_filter: options.instrumentation_filter ?? '',
  };
}
