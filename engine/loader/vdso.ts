/**
 * The vDSO of a machine: one image and one data page, made at boot and mapped into every program. The kernel writes
 * the data page when the wall clock is set (time/clock.ts); programs only read it.
 */
import type { FrameAddr, Ptr } from '../base/types.ts';
import { MACHINE, MachineHeader, ROOT_VDSO } from '../heap/machine.layout.ts';
import { I32, U8 } from '../heap/memory.ts';
import { frame_put } from '../machine/frames.ts';
import { map_special } from '../mm/mmap.ts';
import { publish_wall_clock } from '../time/clock.ts';
import { MAPPING_SPECIAL } from '../vfs/mapping.layout.ts';
import { mapping_create, mapping_page } from '../vfs/mapping.ts';
import { vdso_image } from './vdso_image.ts';

const PAGE = 4096;
/** Pages of the mapping, in the order of their addresses. */
const VVAR_PAGE = 0;
const IMAGE_PAGE = 1;

function root_slot(): number {
  return (MachineHeader.roots.at(MACHINE) >> 2) + ROOT_VDSO;
}

/** Makes the machine's vDSO at boot, after time. False: there is no memory for it, and programs do without. */
export function boot_vdso(): boolean {
  const mapping = mapping_create(MAPPING_SPECIAL, 0 as Ptr<'Inode'>, 2 * PAGE);
  if (mapping === 0) return false;
  // The mapping keeps the pages; it is never released.
  const data = mapping_page(mapping, VVAR_PAGE, true);
  const image = mapping_page(mapping, IMAGE_PAGE, true);
  if (data < 0 || image < 0) return false;
  U8.set(vdso_image(), image);
  publish_wall_clock(data);
  frame_put(data as FrameAddr);
  frame_put(image as FrameAddr);
  I32[root_slot()] = mapping;
  return true;
}

/** Maps the vDSO into a new address space: the image's address (AT_SYSINFO_EHDR), 0 when there is none, or -errno. */
export function map_vdso(mm: Ptr<'Mm'>): number {
  const mapping = I32[root_slot()] as Ptr<'Mapping'>;
  if (mapping === 0) return 0;
  const at = map_special(mm, mapping, PAGE, PAGE);
  return at < 0 ? at : at + PAGE;
}
