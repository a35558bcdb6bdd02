import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataMemory, PageMemory } from '../../../../harness/prog/memory.ts';
import { DATA_PAGES, DATA_SIZE, type Program } from '../../../../harness/prog/model.ts';
import { mutate_program } from '../../../../harness/prog/mutate.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { Random } from '../../../../harness/prog/random.ts';
import { size_of } from '../../../../harness/prog/size.ts';
import { for_each_arg } from '../../../../harness/prog/walk.ts';
import { each_seed, random_program, TABLE, TARGET } from '../../../support/programs.ts';

test('allocations do not meet until the memory is full, and then start again', () => {
  const memory = new DataMemory();
  memory.note(64, 1);
  assert.equal(
    [1, 64, 65, 0, 4096].map((size) => memory.allocate(size)),
    [0, 128, 192, 320, 384],
  );
  const full = new DataMemory();
  for (let i = 0; i < 4096; i++) assert.is(full.allocate(64), i * 64);
  assert.is(full.allocate(64), 0);
  assert.is(full.allocate(64), 64);
  assert.ok(full.allocate(DATA_SIZE) >= 0);
});

test('a free gap is found among words that are full', () => {
  const memory = new DataMemory();
  memory.note(0, 64 * 96);
  memory.note(64 * 100, 64 * 32);
  assert.is(memory.allocate(64 * 4), 64 * 96);
  assert.is(memory.allocate(64 * 4), 64 * 132);
});

test('pages stay inside the data area', () => {
  const random = new Random(1);
  const pages = new PageMemory();
  for (let i = 0; i < 2000; i++) {
    const count = random.between(1, 16);
    const page = pages.allocate(random, count);
    assert.ok(page >= 0 && page + count <= DATA_PAGES);
    if (random.one_in(10)) pages.note(page, count);
  }
});

/** Two pointees of one call that share bytes; empty when there are none. */
function overlap(program: Program): string {
  for (const call of program.calls) {
    const blocks: [start: number, end: number][] = [];
    for_each_arg(call, (node) => {
      if (node.kind === 'pointer' && node.pointee !== undefined)
        blocks.push([node.address, node.address + size_of(node.pointee)]);
    });
    blocks.sort((a, b) => a[0] - b[0]);
    for (const [i, [start, end]] of blocks.entries()) {
      const next = blocks[i + 1];
      if (next !== undefined && next[0] < end && start < next[1])
        return `${call.description.name}: ${start}, ${next[0]}`;
    }
  }
  return '';
}

test('memory of one call does not overlap, after mutation neither', () => {
  each_seed(300, (random) => {
    const program = random_program(random, 4);
    assert.is(overlap(program), '', print_program(program));
    mutate_program({ target: TARGET, table: TABLE, random, corpus: [] }, program);
    assert.is(overlap(program), '', print_program(program));
  });
});

test.run();
