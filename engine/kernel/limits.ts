/**
 * Resource limits of a process (getrlimit(2)).
 */
import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_AS,
  RLIMIT_CORE,
  RLIMIT_DATA,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_RTPRIO,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from '../abi/resource.ts';
import type { Ptr } from '../base/types.ts';
import { F64 } from '../heap/memory.ts';
import { mm_set_limits } from '../mm/address_space.ts';
import { current } from './current.ts';
import { Task } from './task.layout.ts';
import { ThreadGroup } from './thread_group.layout.ts';

/** Soft limit of a group; RLIM_INFINITY when there is none. */
export function group_rlimit(group: Ptr<'ThreadGroup'>, resource: number): number {
  return F64[(ThreadGroup.rlimits.at(group) >> 3) + resource * 2] as number;
}

/** Hard limit of a group. */
export function group_rlimit_hard(group: Ptr<'ThreadGroup'>, resource: number): number {
  return F64[(ThreadGroup.rlimits.at(group) >> 3) + resource * 2 + 1] as number;
}

/** Soft limit of the current process. */
export function rlimit(resource: number): number {
  return group_rlimit(Task.group.get(current), resource);
}

/** Sets both limits of a group; the caller has checked them. */
export function set_group_rlimit(group: Ptr<'ThreadGroup'>, resource: number, soft: number, hard: number): void {
  const at = (ThreadGroup.rlimits.at(group) >> 3) + resource * 2;
  F64[at] = soft;
  F64[at + 1] = hard;
}

/** The limits a root process starts with: Linux's INIT_RLIMITS, with the descriptors of a login shell. */
export function default_rlimits(group: Ptr<'ThreadGroup'>): void {
  for (let i = 0; i < RLIM_NLIMITS; i++) set_group_rlimit(group, i, RLIM_INFINITY, RLIM_INFINITY);
  set_group_rlimit(group, RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
  set_group_rlimit(group, RLIMIT_CORE, 0, RLIM_INFINITY);
  set_group_rlimit(group, RLIMIT_NOFILE, 1024, 524288);
  set_group_rlimit(group, RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
  set_group_rlimit(group, RLIMIT_SIGPENDING, 4096, 4096);
  set_group_rlimit(group, RLIMIT_MSGQUEUE, 819200, 819200);
  set_group_rlimit(group, RLIMIT_NICE, 0, 0);
  set_group_rlimit(group, RLIMIT_RTPRIO, 0, 0);
}

/** Tells a process's address space its limits: after setrlimit and after execve. */
export function apply_memory_limits(group: Ptr<'ThreadGroup'>): void {
  const mm = Task.mm.get(ThreadGroup.leader.get(group));
  if (mm === 0) return;
  const soft = (resource: number): number => group_rlimit(group, resource);
  mm_set_limits(mm, soft(RLIMIT_AS), soft(RLIMIT_DATA), soft(RLIMIT_STACK), soft(RLIMIT_MEMLOCK));
}
