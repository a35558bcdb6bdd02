/** Reads the pieces of a program's text and says where it goes wrong. */

/** A text that is not a program: what was expected, and where (both counted from 1). */
export class ParseError extends Error {
  override readonly name = 'ParseError';
  readonly line: number;
  readonly column: number;
  /** The message without the place. */
  readonly reason: string;

  constructor(reason: string, line: number, column: number, text: string) {
    super(`line ${line}, column ${column}: ${reason}\n  ${text}\n  ${' '.repeat(column - 1)}^`);
    this.reason = reason;
    this.line = line;
    this.column = column;
  }
}

const ESCAPED: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  "'": 39,
  '"': 34,
  '\\': 92,
};

/** A position in one line of text. Blanks between pieces are skipped. */
export class Scanner {
  private readonly text: string;
  private readonly line: number;
  private at = 0;

  constructor(text: string, line: number) {
    this.text = text;
    this.line = line;
    this.skip_blanks();
  }

  /** Throws a ParseError at the current place, or at `column` (from 0). */
  fail(reason: string, column = this.at): never {
    throw new ParseError(reason, this.line, column + 1, this.text);
  }

  /** Where the next piece starts, from 0: for messages about a piece that was read already. */
  get column(): number {
    return this.at;
  }

  at_end(): boolean {
    return this.at >= this.text.length;
  }

  /** True when the next piece starts with `piece`. */
  sees(piece: string): boolean {
    return this.text.startsWith(piece, this.at);
  }

  /** Takes `piece` if it comes next. */
  accept(piece: string): boolean {
    if (!this.sees(piece)) return false;
    this.at += piece.length;
    this.skip_blanks();
    return true;
  }

  /** Takes `piece`, or fails. */
  expect(piece: string): void {
    if (!this.accept(piece)) this.fail(`expected '${piece}', found ${this.found()}`);
  }

  /** What comes next, for a message. */
  found(): string {
    return this.at_end() ? 'the end of the line' : `'${this.text.slice(this.at, this.at + 12)}'`;
  }

  /** A name of letters, digits, '_' and '$'. */
  word(what: string): string {
    const match = this.take(/[A-Za-z_][A-Za-z0-9_$]*/y);
    return match ?? this.fail(`expected ${what}, found ${this.found()}`);
  }

  /** The name of a result (r0, r1...), if one comes next. */
  result_name(): string | undefined {
    return this.take(/r[0-9]+\b/y);
  }

  /** An unsigned number of at most 64 bits, decimal or with 0x. */
  number(what: string): bigint {
    const start = this.at;
    const digits = this.take(/0x[0-9a-fA-F]+|[0-9]+/y);
    if (digits === undefined) this.fail(`expected ${what}, found ${this.found()}`);
    const value = BigInt(digits);
    if (value >= 1n << 64n) this.fail(`${digits} does not fit into 64 bits`, start);
    return value;
  }

  /** Bytes in quotes: text with escapes in single ones, hex digits in double ones. */
  bytes(): Uint8Array {
    if (this.sees("'")) return this.quoted_text();
    const start = this.at;
    this.at++;
    const end = this.text.indexOf('"', this.at);
    if (end < 0) this.fail('the string does not end', start);
    const digits = this.text.slice(this.at, end);
    if (!/^([0-9a-fA-F]{2})*$/.test(digits)) this.fail('expected pairs of hex digits between double quotes');
    this.at = end + 1;
    this.skip_blanks();
    const bytes = new Uint8Array(digits.length / 2);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
    return bytes;
  }

  private quoted_text(): Uint8Array {
    const start = this.at;
    const bytes: number[] = [];
    for (let i = start + 1; i < this.text.length; i++) {
      const letter = this.text[i]!;
      if (letter === "'") {
        this.at = i + 1;
        this.skip_blanks();
        return Uint8Array.from(bytes);
      }
      if (letter !== '\\') {
        if (letter.charCodeAt(0) > 0x7e) this.fail('only ASCII in a text: write other bytes as \\xNN', i);
        bytes.push(letter.charCodeAt(0));
        continue;
      }
      const hex = /^x([0-9a-fA-F]{2})/.exec(this.text.slice(i + 1, i + 4));
      const plain = ESCAPED[this.text[i + 1] ?? ''];
      if (hex !== null) bytes.push(Number.parseInt(hex[1]!, 16));
      else if (plain !== undefined) bytes.push(plain);
      else this.fail('unknown escape', i);
      i += hex === null ? 1 : 3;
    }
    return this.fail('the string does not end', start);
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at += match[0].length;
    this.skip_blanks();
    return match[0];
  }

  private skip_blanks(): void {
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at++;
  }
}
