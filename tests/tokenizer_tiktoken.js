// Compares our tokenizer with npm's tiktoken, text by text and id by id, and the class of every
// code point with that of tiktoken's regex engine.
//   node tokenizer_tiktoken.js TOOL FILE.gguf [SCALE [LIMIT]]
// TOOL is tokenizer_tool.c built; SCALE multiplies the generated texts; LIMIT is how many
// milliseconds of processor time a megabyte may take. Run by tokenizer_tiktoken.sh, which sets
// NODE_PATH.
'use strict';
const { spawnSync } = require('child_process');
const { Tiktoken } = require('tiktoken');
const o200k = require('tiktoken/encoders/o200k_base.json');
const { corpus } = require('./tokenizer_corpus.js');

const [tool, gguf, scale, limit] = process.argv.slice(2);
let failures = 0;

function fail(text) {
  failures++;
  if (failures <= 20) console.log(`FAIL ${text}`);
}

function runTool(args, input) {
  const done = spawnSync(tool, args, { input, maxBuffer: 1 << 30 });
  if (done.status !== 0) {
    console.log(`FAIL ${tool} ${args.join(' ')}: ${done.error || done.stderr}`);
    process.exit(1);
  }
  return done;
}

function encodeOurs(texts, flags) {
  const parts = [];
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    parts.push(length, bytes);
  }
  const done = runTool([gguf, ...flags], Buffer.concat(parts));
  const out = done.stdout;
  const lists = [];
  for (let at = 0; at < out.length;) {
    const count = out.readUInt32LE(at);
    const ids = [];
    for (let i = 0; i < count; i++) ids.push(out.readInt32LE(at + 4 + 4 * i));
    lists.push(ids);
    at += 4 + 4 * count;
  }
  return { lists, ms: Number(done.stderr.toString()) };
}

function firstDifference(a, b) {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return `at ${i}: ours ${a.slice(i, i + 6)} tiktoken ${b.slice(i, i + 6)}`;
}

function compare(what, texts, flags, theirs) {
  const before = failures;
  const ours = encodeOurs(texts.map((t) => t.text), flags).lists;
  if (ours.length !== texts.length) fail(`${what}: ${ours.length} answers of ${texts.length}`);
  texts.forEach(({ name, text }, i) => {
    const expected = theirs(text);
    const got = ours[i] || [];
    if (got.length !== expected.length || got.some((id, k) => id !== expected[k])) {
      const shown = JSON.stringify(text.slice(0, 80));
      fail(`${what}: ${name} ${shown} ${firstDifference(got, expected)}`);
    }
  });
  console.log(`${what}: ${texts.length - (failures - before)} of ${texts.length} texts equal`);
}

// A pattern that matches one character of a class leaves exactly those in the output: what does
// not match is skipped.
function compareClasses() {
  const UPPER = 1, LOWER = 2, LETTER = 4, NUMBER = 8, SPACE = 16, NEWLINE = 32;
  const patterns = [
    ['[\\p{Lu}\\p{Lt}]', UPPER | LETTER], ['[\\p{Lm}\\p{Lo}]', UPPER | LOWER | LETTER],
    ['\\p{Ll}', LOWER | LETTER], ['\\p{M}', UPPER | LOWER], ['\\p{N}', NUMBER],
    ['\\s', SPACE], ['[\\r\\n]', NEWLINE],
  ];
  let ranks = '! 0';
  for (let i = 0; i < 256; i++) ranks += ' ' + Buffer.from([i]).toString('base64');
  const expected = Buffer.alloc(0x110000);
  for (const [pattern, bits] of patterns) {
    const matcher = new Tiktoken(ranks, {}, pattern);
    for (let plane = 0; plane < 0x110000; plane += 0x1000) {
      if (plane >= 0xd800 && plane < 0xe000) continue;
      let text = '';
      for (let c = plane; c < plane + 0x1000; c++) {
        if (c < 0xd800 || c > 0xdfff) text += String.fromCodePoint(c);
      }
      const bytes = Buffer.from(matcher.encode(text, [], []));
      for (const c of bytes.toString('utf8')) expected[c.codePointAt(0)] |= bits;
    }
    matcher.free();
  }
  const ours = runTool(['--classes'], '').stdout;
  let equal = 0;
  for (let c = 0; c < 0x110000; c++) {
    if (ours[c] === expected[c]) equal++;
    else fail(`class of U+${c.toString(16)}: ours ${ours[c]} tiktoken ${expected[c]}`);
  }
  console.log(`classes: ${equal} of ${0x110000} code points equal`);
}

// tiktoken itself takes minutes here: check what must come out, and the processor time (the wall's
// would judge whatever else the machine does).
function checkLong(encoder) {
  const bytes = 1 << 20;
  for (const unit of ['a', ' ', '\n', 'A', '\u0301', '中', '!', ' \n', 'aA', '7']) {
    const text = unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)));
    const { lists: [ids], ms } = encodeOurs([text], []);
    const tokens = ids.map((id) => Buffer.from(encoder.decode_single_token_bytes(id)));
    const back = Buffer.concat(tokens);
    const what = `1 MB of ${JSON.stringify(unit)}`;
    if (back.toString('utf8') !== text) fail(`${what}: bytes differ`);
    if (!(ms <= Number(limit || 1000))) fail(`${what} took ${ms.toFixed(0)} ms`);
    console.log(`${what}: ${ids.length} ids, ${ms.toFixed(0)} ms, boot included`);
  }
}

const special = {
  '<|startoftext|>': 199998, '<|endoftext|>': 199999, '<|return|>': 200002,
  '<|constrain|>': 200003, '<|channel|>': 200005, '<|start|>': 200006, '<|end|>': 200007,
  '<|message|>': 200008, '<|call|>': 200012, '<|endofprompt|>': 200018,
};
for (const id of [200000, 200001, 200004, 200009, 200010, 200011, 200013, 200014, 200015, 200016,
  200017]) special[`<|reserved_${id}|>`] = id;
const encoder = new Tiktoken(o200k.bpe_ranks, special, o200k.pat_str);
const texts = corpus(Number(scale || 1));
compare('ordinary', texts, [], (text) => encoder.encode(text, [], []));
compare('with specials', texts, ['--specials'], (text) => encoder.encode(text, 'all', []));
compareClasses();
checkLong(encoder);
if (texts.length < 400) fail(`only ${texts.length} texts`);
console.log(failures === 0 ? 'all equal' : `${failures} differences`);
process.exit(failures === 0 ? 0 : 1);
