/** Coverage as static HTML: an index, and one small file for each source with its TypeScript coloured. */
import { type CoveredBlock, type FileCoverage, share } from './coverage.ts';

const STYLE = `body{font:14px/1.4 sans-serif;margin:1.5em;color:#222;background:#fff}
table{border-collapse:collapse}td,th{padding:.1em .8em;text-align:left}td.n{text-align:right}
pre{font:12px/1.45 monospace}.y{background:#d7f5d7}.n0{background:#fbdcdc}.l{color:#999;user-select:none}
i{display:inline-block;height:.7em;background:#6b6}b{display:inline-block;height:.7em;width:10em;background:#e99}`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape_html(title)}</title><style>${STYLE}</style></head>
<body>
${body}
</body></html>
`;
}

function escape_html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Name of a source's page. */
export function page_name(path: string): string {
  return `${path.replaceAll('/', '.')}.html`;
}

/** The index: a row a file, with a bar. */
export function index_page(files: readonly FileCoverage[], programs: number): string {
  const covered = files.reduce((sum, file) => sum + file.covered, 0);
  const total = files.reduce((sum, { blocks }) => sum + blocks.length, 0);
  const rows = files.map(({ path, covered: own, blocks }) => {
    const width = blocks.length === 0 ? 10 : (10 * own) / blocks.length;
    const link = `<a href="${escape_html(page_name(path))}">${escape_html(path)}</a>`;
    const bar = `<b><i style="width:${width.toFixed(1)}em"></i></b>`;
    return `<tr><td>${link}</td><td>${bar}</td><td class="n">${share(own, blocks.length)}</td></tr>`;
  });
  const head = `<h1>Kernel coverage</h1><p>${share(covered, total)} of the basic blocks, by ${programs} programs</p>`;
  return page('Kernel coverage', `${head}<table>${rows.join('\n')}</table>`);
}

/** A source with its blocks: green where programs were, red where none was; the title says how many. */
export function source_page(file: FileCoverage, source: string): string {
  const colours = colour(file.blocks, source);
  const starts = line_starts(source);
  const lines: string[] = [];
  for (const [i, start] of starts.entries()) {
    const end = (starts[i + 1] ?? source.length + 1) - 1;
    lines.push(`<span class="l">${String(i + 1).padStart(5)} </span>${coloured(source, colours, start, end)}`);
  }
  const head = `<h1>${escape_html(file.path)}</h1><p>${share(file.covered, file.blocks.length)} blocks · <a href="index.html">index</a></p>`;
  return page(file.path, `${head}<pre>${lines.join('\n')}</pre>`);
}

function line_starts(source: string): number[] {
  const starts = [0];
  for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** For each character the hits of the innermost block that holds it; -1 outside of blocks. */
function colour(blocks: readonly CoveredBlock[], source: string): Int32Array {
  const colours = new Int32Array(source.length).fill(-1);
  const starts = line_starts(source);
  const offset = (line: number, column: number): number => (starts[line - 1] ?? source.length) + column - 1;
  const spans = blocks.map((block) => ({
    from: offset(block.line, block.column),
    to: offset(block.end_line, block.end_column),
    hits: block.hits,
  }));
  // Wide blocks first: the ones inside them paint over.
  spans.sort((a, b) => b.to - b.from - (a.to - a.from));
  for (const { from, to, hits } of spans) colours.fill(hits, from, to);
  return colours;
}

function coloured(source: string, colours: Int32Array, start: number, end: number): string {
  let html = '';
  for (let from = start; from < end; ) {
    const hits = colours[from]!;
    let to = from + 1;
    while (to < end && colours[to] === hits) to++;
    const text = escape_html(source.slice(from, to));
    if (hits < 0) html += text;
    else html += `<span class="${hits > 0 ? 'y' : 'n0'}" title="${hits}">${text}</span>`;
    from = to;
  }
  return html;
}
