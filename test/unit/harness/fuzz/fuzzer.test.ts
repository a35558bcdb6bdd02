/** The loop against a kernel whose secrets are known (test/support/toy_kernel.ts). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { comparisons_of } from '../../../../harness/fuzz/follow_up.ts';
import { print_program } from '../../../../harness/prog/print.ts';
import { validate_program } from '../../../../harness/prog/validate.ts';
import { fuzz_until, toy_campaign } from '../../../support/campaign.ts';
import { seed_of } from '../../../support/random.ts';
import { MAGIC_VALUE, TOY_TARGET } from '../../../support/toy_kernel.ts';

const SEED = seed_of('fuzzer');

test('the corpus grows, is minimal, and every entry reaches what no other did', () => {
  const campaign = toy_campaign(SEED);
  fuzz_until(campaign);
  assert.ok(campaign.inputs.length > 15, `${campaign.inputs.length} inputs`);
  const seen = new Set<number>();
  for (const { program, signal, call } of campaign.inputs) {
    validate_program(TOY_TARGET, program);
    assert.ok(program.calls.length <= 6, print_program(program));
    assert.is(call, program.calls.length - 1, 'nothing follows the call that matters');
    assert.ok(signal.some((edge) => !seen.has(edge)));
    for (const edge of signal) seen.add(edge);
  }
  assert.is(campaign.crashes.length, 0);
  assert.is(campaign.stats.get('unstable'), 0);
});

test('hints find a value that chance does not', () => {
  const campaign = toy_campaign(SEED);
  const armed = () => campaign.inputs.some(({ text }) => text.includes(`0x${MAGIC_VALUE.toString(16)}`));
  fuzz_until(campaign, armed);
  assert.ok(armed());
  assert.ok(campaign.stats.get('hints') > 0);
});

test('fault injection reaches the error paths', () => {
  const campaign = toy_campaign(SEED);
  fuzz_until(campaign);
  assert.ok(campaign.stats.get('faults_injected') > 0);
  for (const nth of [1, 2, 3])
    assert.ok(
      campaign.inputs.some(({ text }) => text.includes(`(fail_nth: ${nth})`)),
      `fail_nth ${nth}`,
    );
});

test('races run calls at the same time', () => {
  const campaign = toy_campaign(SEED);
  fuzz_until(campaign, () => campaign.stats.get('races') > 20);
  assert.ok(campaign.stats.get('races') > 20);
});

const PLANTED = [
  ['panic', 'sanitizer: Eventfd in eventfd_release', 'close'],
  ['leak', 'leak: File', 'dup'],
  ['hang', 'hang: write', 'write'],
  ['nondeterminism', 'non-determinism: coverage of getpid', 'getpid'],
  ['corruption', 'corruption: Inode at N nlink N not N', 'sync'],
] as const;

for (const [defect, title, last] of PLANTED)
  test(`a planted ${defect} is found, told once, and minimised`, () => {
    const campaign = toy_campaign(SEED, [defect], 60_000);
    fuzz_until(campaign, () => campaign.crashes.length > 0 && campaign.repeated.length > 3);
    assert.is(campaign.crashes.length, 1);
    const { finding, program, recurs } = campaign.crashes[0]!;
    assert.is(finding.title, title);
    assert.ok(recurs);
    // Two or three calls show each defect; a descriptor's number used after its close can hold a call or two more.
    assert.ok(program.calls.length <= 5, print_program(program));
    assert.is(program.calls.at(-1)!.description.row.name, last);
    assert.ok(campaign.repeated.every((repeated) => repeated === title));
  });

test('the same seed gives the same campaign', () => {
  const run = (): string[] => {
    const campaign = toy_campaign(SEED, ['leak'], 5000);
    fuzz_until(campaign);
    const crashes = campaign.crashes.map(({ finding, program }) => `${finding.title}\n${print_program(program)}`);
    return [...campaign.inputs.map(({ text, seed }) => `${seed} ${text}`), ...crashes, String(campaign.kernel.runs)];
  };
  assert.equal(run(), run());
});

test('a resumed campaign knows what the first one found', () => {
  const first = toy_campaign(SEED);
  fuzz_until(first);
  const second = toy_campaign(SEED + 1);
  for (const { program, seed } of first.inputs) second.fuzzer.load(program, seed);
  fuzz_until(second, () => second.stats.get('load') === first.inputs.length);
  assert.ok(second.inputs.length >= first.inputs.length * 0.9);
  assert.ok(second.known.size >= first.known.size * 0.9);
});

test('an entry of another worker is known here', () => {
  const first = toy_campaign(SEED);
  fuzz_until(first, () => first.inputs.length >= 5);
  const second = toy_campaign(SEED + 1);
  for (const entry of first.inputs) second.fuzzer.import_entry(entry);
  assert.is(second.fuzzer.corpus.size, first.inputs.length);
  assert.is(second.inputs.length, 0, 'it is not told again');
});

test('what kills the thread stands in the black box', () => {
  const campaign = toy_campaign(SEED, ['death']);
  assert.throws(() => fuzz_until(campaign), /gives up its thread/);
  const { program } = campaign.black_box.read(TOY_TARGET)!;
  assert.ok(program.calls.some(({ description }) => description.name === 'membarrier'));
});

test('a constant is no hint for itself', () => {
  const met = { size: 4, low1: 5, high1: 0, low2: 77, high2: 1, pc: 0 } as const;
  const constant = comparisons_of([{ ...met, constant: true }]);
  assert.equal([...constant.compared_with(5n)], [0x1_0000_004dn]);
  assert.equal([...constant.compared_with(0x1_0000_004dn)], []);
  assert.equal([...comparisons_of([{ ...met, constant: false, low1: 1234 }]).compared_with(0x1_0000_004dn)], [1234n]);
});

test.run();
