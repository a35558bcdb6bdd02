/**
 * A bare machine memory for unit tests: header, heap and frames, no kernel.
 */
import { boot_memory, type MemoryMap } from '../../engine/heap/boot.ts';
import { bind_memory } from '../../engine/heap/memory.ts';

/** Makes and binds a small machine memory. */
export function test_memory(options: Partial<MemoryMap> = {}): WebAssembly.Memory {
  const memory = boot_memory({ vcpus: 2, heap_bytes: 8 << 20, ram_bytes: 32 << 20, ...options });
  bind_memory(memory);
  return memory;
}
