/**
 * The inspector: reads records as text from their declarations. Takes no lock, so that it works on a
 * machine that has panicked or hangs; what it prints of a running one may be torn.
 */
import { bytes_read } from './bytes.ts';
import { layout_of } from './layout.ts';
import { F64, I32, U8, U16, U32, U64 } from './memory.ts';

/** One line a field: name, value, type and access class. */
export function inspect(declaration: object, address: number): string {
  const info = layout_of(declaration);
  const names = field_names(declaration);
  const lines = [`${info.name} at 0x${address.toString(16)} (${info.size} bytes)`];
  for (const field of info.fields) {
    const name = names.get(field.offset) ?? `+${field.offset}`;
    lines.push(
      `  ${name.padEnd(24)} ${value_of(field.type, address + field.offset).padEnd(24)} ${field.type}, ${field.access}`,
    );
  }
  return lines.join('\n');
}

/** Names of the fields by offset. */
function field_names(declaration: object): Map<number, string> {
  const names = new Map<number, string>();
  for (const [name, field] of Object.entries(declaration))
    if (typeof field === 'object' && field !== null && 'offset' in field) names.set(field.offset as number, name);
  return names;
}

function value_of(type: string, at: number): string {
  if (type.startsWith('ptr ')) return `0x${(U32[at >> 2] as number).toString(16)}`;
  switch (type) {
    case 'u8':
      return String(U8[at]);
    case 'u16':
      return String(U16[at >> 1]);
    case 'u32':
      return String(U32[at >> 2]);
    case 'i32':
    case 'atomic':
      return String(I32[at >> 2]);
    case 'f64':
      return String(F64[at >> 3]);
    case 'u64':
      return `0x${(U64[at >> 3] as bigint).toString(16)}`;
    case 'Lock':
      return I32[at >> 2] === 0 ? 'free' : `held by ${I32[(at >> 2) + 1]}`;
    default:
      return type.startsWith('bytes ') ? preview(at, Number(type.slice(6))) : '...';
  }
}

function preview(at: number, length: number): string {
  const text = bytes_read(at, Math.min(length, 16));
  if (/^[\x20-\x7e]+\0*$/.test(text)) return JSON.stringify(text.replace(/\0+$/, ''));
  return [...text].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
