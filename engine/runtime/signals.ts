/** Signal names and numbers at the API's edge. */
import { signal_name } from '../trace/names.ts';

const NUMBERS = new Map<string, number>();
for (let number = 1; number <= 64; number++) NUMBERS.set(signal_name(number), number);

/** The number of 'SIGINT' and its like. Throws a RangeError for a name that Linux does not have. */
export function signal_number(name: string): number {
  const number = NUMBERS.get(name);
  if (number === undefined) throw new RangeError(`there is no signal ${name}`);
  return number;
}

export { signal_name };
