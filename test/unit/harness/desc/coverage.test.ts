import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Argument, parse_arguments } from '../../../../engine/syscalls/args_spec.ts';
import { SYSCALLS } from '../../../../engine/syscalls/table.ts';
import { type CallDescription, call, is_implemented } from '../../../../harness/desc/call.ts';
import * as resources from '../../../../harness/desc/resources.ts';
import { select_calls } from '../../../../harness/desc/select.ts';
import { DESCRIPTIONS, for_each_type, make_target } from '../../../../harness/desc/target.ts';
import { type Resource, resource_fits, type Type } from '../../../../harness/desc/types.ts';

function report(problems: readonly string[]): void {
  assert.is(problems.length, 0, `\n  ${problems.join('\n  ')}\n`);
}

test('every implemented system call has a description', () => {
  const described = new Set(DESCRIPTIONS.map(({ row }) => row.name));
  const missing = SYSCALLS.filter(
    (row) => row !== undefined && row.support !== 'unsupported' && !described.has(row.name),
  );
  report(missing.map((row) => `${row?.name}: describe it in harness/desc, in the file of its family`));
});

test('a description has as many arguments as its row', () => {
  const wrong = DESCRIPTIONS.filter(
    ({ row, args }) => row.support !== 'unsupported' && row.args.length !== args.length,
  );
  report(wrong.map(({ name, row, args }) => `${name}: ${args.length} arguments, the row has ${row.args.length}`));
});

/** The kinds of description that refine an argument specification of the syscall table; others refine anything. */
const REFINES: Readonly<Record<string, (type: Type) => boolean>> = {
  fd: is_resource(resources.fd),
  dirfd: (type) => is_resource(resources.fd)(type) || type.kind === 'int',
  uid: is_resource(resources.uid),
  gid: is_resource(resources.gid),
  path: is_pointer,
  string: is_pointer,
  in: is_pointer,
  out: is_pointer,
  inout: is_pointer,
  iovec: is_pointer,
  outiovec: is_pointer,
  struct: is_pointer,
  outstruct: is_pointer,
  strings: is_pointer,
};

function is_pointer(type: Type): boolean {
  return type.kind === 'ptr' || type.kind === 'vma';
}

function is_resource(wanted: Resource): (type: Type) => boolean {
  return (type) => type.kind === 'const' || (type.kind === 'resource' && resource_fits(type.resource, wanted));
}

function disagreement(description: CallDescription, spec: Argument, index: number): string {
  const type = description.args[index]?.type;
  if (type === undefined || (REFINES[spec.type]?.(type) ?? true)) return '';
  return `${description.name}: argument ${index} (${spec.name}) is ${spec.type} in the row, ${type.kind} here`;
}

test('an argument is of the kind that the row says', () => {
  const problems: string[] = [];
  for (const description of DESCRIPTIONS.filter(is_implemented))
    for (const [i, spec] of parse_arguments(description.row).entries()) {
      const problem = disagreement(description, spec, i);
      if (problem !== '') problems.push(problem);
    }
  report(problems);
});

test('lengths name something beside them', () => {
  const problems: string[] = [];
  const check = (owner: string, type: Type, names: readonly string[], in_struct: boolean): void => {
    if (type.kind !== 'len') return;
    const first = type.target.split('.')[0] ?? '';
    if (!names.includes(first) && !(in_struct && first === 'parent'))
      problems.push(`${owner}: length of '${type.target}'`);
  };
  for (const description of DESCRIPTIONS) {
    const names = description.args.map(({ name }) => name);
    for (const { type } of description.args) check(description.name, type, names, false);
    for_each_type(description, (type) => {
      if (type.kind !== 'struct') return;
      for (const field of type.fields)
        check(
          `${description.name}, struct ${type.name}`,
          field.type,
          type.fields.map(({ name }) => name),
          true,
        );
    });
  }
  report(problems);
});

test('a padded union, an argument and an array element have the sizes that their place needs', () => {
  const problems: string[] = [];
  for (const description of DESCRIPTIONS) {
    for (const { name, type } of description.args)
      if (type.kind === 'struct' || type.kind === 'array' || type.kind === 'buffer')
        problems.push(`${description.name}: ${name} does not fit a register`);
    for_each_type(description, (type) => {
      if (type.kind === 'array' && (type.max < type.min || type.min < 0))
        problems.push(`${description.name}: array bounds`);
      if (type.kind === 'buffer' && type.strict && type.values.length === 0)
        problems.push(`${description.name}: no string`);
      if ((type.kind === 'union' || type.kind === 'flags') && fields_of(type) === 0)
        problems.push(`${description.name}: empty`);
    });
  }
  report(problems);
});

function fields_of(type: Extract<Type, { kind: 'union' | 'flags' }>): number {
  return type.kind === 'union' ? type.fields.length : type.values.length;
}

test('a target has the implemented calls, and says why others are not in it', () => {
  const target = make_target();
  const names = new Set(target.calls.map(({ name }) => name));
  for (const name of ['read', 'write', 'mmap', 'eventfd2', 'fcntl$F_DUPFD']) assert.ok(names.has(name), name);
  assert.not.ok(names.has('rt_sigreturn'));
  assert.match(target.disabled.get('rt_sigreturn') ?? '', /by hand/);
  const files = make_target({ enable: ({ row }) => row.name === 'inotify_rm_watch' || row.name === 'getpid' });
  assert.equal(
    files.calls.map(({ name }) => name),
    ['getpid'],
  );
  assert.match(files.disabled.get('inotify_rm_watch') ?? '', /no enabled call makes the resource/);
  assert.throws(() => make_target({ enable: () => false }), /no system call is enabled/);
  assert.throws(() => call('no_such_call'), /the syscall table has no such call/);
});

test('what makes a resource can be used for what it inherits from', () => {
  const target = make_target();
  const creators = (resource: Resource): string[] => (target.creators.get(resource) ?? []).map(({ name }) => name);
  assert.ok(creators(resources.fd).includes('eventfd2'));
  assert.ok(creators(resources.fd).includes('pipe2'));
  assert.equal(creators(resources.fd_event), ['eventfd', 'eventfd2']);
  assert.not(resource_fits(resources.fd, resources.fd_event));
});

test('calls are selected by patterns', () => {
  const names = (enable: string[], disable: string[] = []): string[] =>
    make_target({ enable: select_calls(enable, disable) }).calls.map(({ name }) => name);
  assert.equal(names(['eventfd*']), ['eventfd', 'eventfd2']);
  assert.equal(names(['fcntl$F_GETF*', 'pipe2']).sort(), ['fcntl$F_GETFD', 'fcntl$F_GETFL', 'pipe2']);
  assert.ok(names(['fcntl', 'pipe2']).includes('fcntl$F_DUPFD'));
  assert.not(names([], ['pipe*']).includes('pipe2'));
  assert.throws(() => select_calls(['evntfd'], []), /--enable evntfd: no system call has that name/);
  assert.throws(() => select_calls([], ['x*']), /--disable x\*: no system call has that name/);
  assert.throws(() => select_calls(['reboot', 'pipe2'], []), /--enable reboot: the kernel does not implement/);
});

test.run();
