/** Programs that campaigns found defects with (test/programs): none may show a finding any more. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { read_program } from '../../../../harness/cmd/files.ts';
import { replay_runs } from '../../../../harness/cmd/repro.ts';
import { open_kernel } from '../../../../harness/fuzz/kernel.ts';

const FOLDER = fileURLToPath(new URL('../../../../../test/programs', import.meta.url));
const kernel = open_kernel(false);

for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.prog')))
  test(name, () => {
    const given = read_program(kernel.target, join(FOLDER, name));
    const findings = replay_runs(kernel, given, 2);
    assert.equal(
      findings.map(({ title, details }) => `${title}\n${details}`),
      [],
    );
  });

test.run();
