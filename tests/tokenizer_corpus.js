// Texts for comparing tokenizers: written samples of many scripts and habits, and generated ones
// that put the split's rules under strain. Deterministic: generated from fixed seeds.
'use strict';

// xorshift32; never seed it with 0.
function random(seed) {
  let x = seed >>> 0;
  const next = () => {
    x ^= x << 13; x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5; x >>>= 0;
    return x;
  };
  return {
    below: (n) => next() % n,
    pick: (list) => list[next() % list.length],
  };
}

const written = {
  english: [
    'The quick brown fox jumps over the lazy dog.',
    "It's what they've said: we're sure you'll see I'd been there, and I'm not.",
    "IT'S WHAT THEY'VE SAID: WE'RE SURE YOU'LL SEE I'D BEEN THERE, AND I'M NOT.",
    "It'S they'Ve we'RE you'Ll i'D i'M can'T o'clock rock'n'roll 'tis 'Twas y'all'd've",
    'camelCaseAndPascalCase HTTPServer XMLHttpRequest iPhone eBay McDonald O’Neill',
    'don’t won’t it’s — “quoted” ‘single’ … naïve café résumé coöperate Zoë',
    'A\u0301 e\u0301 o\u0302\u0323 decomposed, and é composed; ﬁ ﬂ ligatures; ½ ⅓ ² ³ ¹ Ⅷ ⅻ ①②③',
    "the 's and 't and 're alone: 's 't 're 've 'm 'll 'd 'S 'T 'RE 'x 'sx 'lll ''s",
    "long s: it'\u017f it'\u017fe IT'\u017f we'\u017fee \u017fun'\u017f\u017f 's\u017f '\u017fs",
    'kelvin K angstrom Å and it’\u017f; \u212A\u212B we\u2019ll',
  ],
  numbers: [
    '1 12 123 1234 12345 123456 1234567 1,234,567.89 -0.5e-10 0xDEADBEEF 1e9 3.14159265358979',
    '٠١٢٣٤٥٦٧٨٩ ۰۱۲۳۴۵ ०१२३४५ ๐๑๒๓๔ 一二三四 １２３４５ 𝟎𝟏𝟐𝟑𝟒𝟓 ⅠⅡⅢⅣⅤ ²³¹ ½¼¾ ㊿㉑',
    '2024-06-28T12:34:56.789+02:00 192.168.0.1 fe80::1%eth0 +49 (0)30 123456 $1,000.00 €5 50%',
    'a1b2c3 1a2b3c 1st 2nd 3rd 10th v1.2.3-rc.4+build.5 x86_64 i18n 3D 1️⃣2️⃣',
  ],
  code: [
    'int main(void)\n{\n    printf("hello, world\\n");\n    return 0;\n}\n',
    'for (let i = 0; i < n; i++) {\n\t\tif (a[i] !== b[i]) {\n\t\t\treturn false;\n\t\t}\n\t}\n',
    'def f(x: int) -> int:\n    """Doc."""\n    return x ** 2 if x else None  # comment\n\n\n\n',
    '<div class="a b"><p>Text &amp; more</p></div>\r\n<!-- c -->\r\n\r\n</html>',
    '{"key": [1, 2.5, null, true], "nested": {"a": "b\\u00e9"}}\n',
    'SELECT * FROM t WHERE a=\'b\' AND c<>d; -- comment\n/* x */ ///// ****** ------ ======',
    'https://example.org/path/to/file.html?q=a+b&r=%20c#frag //// \\\\server\\share C:\\x\\y.txt',
    '#include <stdio.h>\n#define A(b) ((b)+1)\n\n// slashes ///\n//\n/\n\n/ /\r\n/\r//x',
    'const f=(a,b)=>({...a,[b]:`${a}/${b}`});//done\nasync function* g(){yield* h()}',
    '\tMOV\tR0, #1\n\t\tBNE\tloop\n\n   \t  \n x\n  y\n   z\n    w',
    '^[\\w.+-]+@\\w+\\.\\w{2,}$ s/\\(a\\)/\\1/g $((1+2)) ${x:-y} `cmd` 2>&1 | tee -a log.txt',
    '== === != !== <= >= <<= >>>= && || ?? ?. :: -> => ... ;; }}} ))); {{{ [[[ ]]]',
  ],
  cjk: [
    '我能吞下玻璃而不伤身体。今天天气很好，我们去公园吧！“你好”，他说。《红楼梦》',
    '我能吞下玻璃而不傷身體。臺灣、香港與澳門。（注意）【重要】',
    '私はガラスを食べられます。それは私を傷つけません。ｶﾀｶﾅ ひらがな カタカナー 々〆ヶ',
    '東京タワーは333mです。ＡＢＣ　ａｂｃ　１２３　全角スペース　と、句読点。',
    '나는 유리를 먹을 수 있어요. 그래도 아프지 않아요. ㄱㄴㄷ ㅏㅑㅓ 한글 조합',
    '\u1112\u1161\u11ab\u1100\u1173\u11af decomposed hangul 각 ㄱ',
    '𠀀𠀁𠮷野家 𪚥 㐀㐁 ⼀⼁ 〇 ㈱ ㎏ ㍿ 注音ㄅㄆㄇㄈ',
    'Mixed中文English混合123数字ＡＢc大写TEXT小写text',
  ],
  rtl: [
    'أنا قادر على أكل الزجاج و هذا لا يؤلمني. السَّلَامُ عَلَيْكُمْ ١٢٣٤',
    'أنا أحبّ اللغة العربيّة؛ أليس كذلك؟ ﷽ ﷺ لا‌إله ـــ كشيدة',
    'אני יכול לאכול זכוכית וזה לא מזיק לי. שָׁלוֹם עֲלֵיכֶם ״ציטוט״ צה״ל',
    'من می‌توانم بدونِ احساس درد شيشه بخورم. گچپژ ۱۲۳۴۵',
    'میں کانچ کھا سکتا ہوں اور مجھے تکلیف نہیں ہوتی ۔ ܐܢܐ ܡܨܐ ߒߞߏ ދިވެހި',
  ],
  indic: [
    'मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती. क्षत्रिय श्री ॐ ।। १२३',
    'আমি কাঁচ খেতে পারি, তাতে আমার কোনো ক্ষতি হয় না। ১২৩',
    'நான் கண்ணாடி சாப்பிடுவேன், அதனால் எனக்கு ஒரு கேடும் வராது.',
    'నేను గాజు తినగలను మరియు అలా చేసినా నాకు ఏమి ఇబ్బంది లేదు',
    'ನನಗೆ ಹಾನಿ ಆಗದೆ, ನಾನು ಗಜನ್ನು ತಿನಬಹುದು ഞാൻ ഗ്ലാസ് തിന്നാം ක්‍ෂ ශ්‍රී',
    'ཤེལ་སྒོ་ཟ་ནས་ང་ན་གི་མ་རེད། ကျွန်တော်၊ ကျွန်မ မှန်စားနိုင်တယ်။ ខ្ញុំអាចញុំកញ្ចក់បាន',
    'ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ ๆ ฯลฯ น้ำ ก็ ກິນແກ້ວໄດ້',
  ],
  european: [
    'Я могу есть стекло, оно мне не вредит. ЁЖИК ёжик ЩУКА Ѳита ѣ МосКва ПРИВЕТ мир',
    'Μπορώ να φάω σπασμένα γυαλιά χωρίς να πάθω τίποτα. ΆΈΉ ΐ ς Σίσυφος ΟΔΥΣΣΕΥΣ ᾳ ᾼ ᾨδή',
    'Cam yiyebilirim, bana zararı dokunmaz. İSTANBUL ISPARTA ığdır İzmir i̇ I\u0307 ıI İi',
    'Tôi có thể ăn thủy tinh mà không hại gì. Tiếng Việt: ặ ẵ ẩ ỡ ử Đường',
    'To\u0302i co\u0301 the\u0302\u0309 a\u0306n thu\u0309y tinh; Vie\u0323\u0302t',
    'Ich kann Glas essen, ohne mir zu schaden. STRAẞE Straße ÄÖÜ äöü Grüße',
    'Mogę jeść szkło. Můžu jíst sklo. Tudom enni az üveget. Aš galiu ėsti stiklą. Ég get etið',
    "L'été, c'est qu'il s'agit d'aujourd'hui; dall'Italia l'acqua N'Djamena L'AMI'S D'ACCORD",
    'ǅemal ǈubav ǋegoš ǲ ᾈ ᾘ Ǆ ǆ titlecase: ǅ ǅa Aǅ ǅǅ ǅA aǅ',
    'ʰʲʷ ˈsɪləbəl ʼn ˀ ᵃᵇᶜ ⁿ ₐ modifier: aʰB Aʰb ʰA ʰa Aʰ ʰʰ ー々',
    'Ես կարող եմ ապակի ուտել: მინას ვჭამ და არა მტკივა. ᲛᲘᲜᲐ ⵜⵉⴼⵉⵏⴰⵖ ꮳꮃꭹ ᏣᎳᎩ',
    'Ⰰⰰ Ⴀⴀ Ꙗꙗ Ꞑꞑ 𐐀𐐨 𝐀𝐚 𝒜𝒶 ℂℍℝ ℓ ⅅⅆ Ⓐⓐ ＡＺａｚ',
  ],
  emoji: [
    '😀😃😄 😁 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🏴‍☠️ ❤️ ❤ ☺️ ✈︎ 🇩🇪🇫🇷🇯🇵 🏴󠁧󠁢󠁥󠁮󠁧󠁿 #️⃣ *️⃣',
    'text😀text 😀 text😀😀 😀1 😀\n\n 😀/ 😀// 🤷🏻‍♀️’s 👨🏿‍🚀ABC',
    '★☆♠♣♥♦ ♪♫ ✓✗ →←↑↓ ⇒⇔ ∀∃∈∉ ∑∏√∞ ≤≥≠≈ ┌─┐│└┘ █▓▒░ ◆◇ ©®™ §¶†‡ £¥€¢ № ℃ °',
  ],
  space: [
    '', ' ', '  ', '   ', '\n', '\n\n', '\r\n', '\r\n\r\n', '\t', '\t\t', ' \n', '\n ', '  \n  ',
    ' \n \n ', '\n \n', 'a ', ' a', 'a  b', 'a   b', 'a\n', 'a\n\nb', 'a \n b', 'a  \n  b', '\t a',
    'a\t\tb', ' \ta', 'a \r\n\r\n b', '\r\r\n\n', ' \r ', '\v\f', 'a\vb\fc', ' .', '  .', '   .',
    '\u0085', 'a\u0085b', 'a\u0085\u0085b', 'a \u0085 b', '\u0085\n', '\n\u0085', '\u0085a',
    '\u00a0', 'a\u00a0b', 'a\u00a0\u00a0b', '\u00a0\u00a0a', '\u00a0.', ' \u00a0.', '\u00a0 .',
    'a\u2028b', 'a\u2028\u2028b', 'a\u2029\n\u2029b', '\u2028a', '\u3000a', 'a\u3000\u3000b',
    'a\u3000。\u3000b', '\u2003\u2003x', '\u2009x\u200ay', '\u1680x', '\u202f1', '\u205f2',
    'a\u200bb', '\u200b a', 'a\ufeffb', '\ufeffabc', '\u180ea', 'a\u2060b', '\u001c \u001f\u0020',
    'x \n\t\n y', 'x\n    \n    y', '    x', '\n    x', '\n\n    x', ' '.repeat(100) + 'x',
    ' '.repeat(83), ' '.repeat(1000), '\n'.repeat(300), '\t'.repeat(70) + 'x', ' \n'.repeat(90),
    '\r\n'.repeat(64) + ' x', 'x' + ' '.repeat(129) + '\n' + ' '.repeat(33) + 'y',
  ],
  control: [
    '\0', 'a\0b', '\0\0\0',
    '\x01\x02\x03\x07\b\x0e\x1b[31mred\x1b[0m\x7f', 'a\x1cb\x1dc\x1ed\x1f',
    '\x80\x81\x9f\xad soft\u00adhyphen', '\uE000\uF8FF private \u{F0000} \u{10FFFD}',
    '\uFFFE\uFFFF \u{1FFFE} \u{10FFFF} noncharacters', '\ufffd\ufffd replaced \ufffc',
    '\u0378\u0379 unassigned \u{50000}', '\u202aLTR\u202c \u202eRTL\u202c \u2066x\u2069',
  ],
  marks: [
    '\u0301', '\u0301a', '\u0301A', '\u0301AB', '\u0301\u0301', '\u0301ABC def', ' \u0301',
    ' \u0301A',
    'A\u0301B', 'A\u0301BC', 'AB\u0301C d', '1\u0301', '1\u03012', '.\u0301', '..\u0301',
    '..\u0301a',
    '. \u0301a', '\n\u0301', '\n\u0301a', "'\u0301s", "a'\u0301s", "a\u0301's", "A\u0301'S",
    '\u0301\'s',
    '\u0903\u0903x', '\u20dd\u20ddA', 'a\u20ddB', '\u3099カ\u3099', '!\u0301\u0301!', '\t\u0301b',
    '中A', 'A中', 'A中B', 'A中BC', '中AB', '中ABc', 'AB中CD中EF', 'ʰAB', 'ABʰ', 'ABʰCD', '中\u0301A',
  ],
  specials: [
    '<|endoftext|>', 'a<|endoftext|>b', '<|start|>user<|message|>hi<|end|>', '<|', '|>', '<||>',
    '<|start|', '<|start|><|start|>', '  <|end|>  x', '<|reserved_200000|> [PAD200019]',
    '<|channel|>analysis<|message|>We need to answer.<|end|><|start|>assistant<|return|>',
    '\n\n<|call|>\n\n', '<<|end|>>', '<|END|>', '<|endofprompt|>',
  ],
};

// Generated texts: an alphabet, how long, how many.
const letters = [...'abcdefghijklmnopqrstuvwxyz'];
const alphabets = {
  rules: [...'aAbBsStT\'\'  \n\r\t/.1中ʰ\u0301ǅé\u017f\u00a0\u0085'],
  contractions: ["'", "'", ' ', 'a', '1', 's', 'S', 't', 'T', 'r', 'R', 'e', 'E', 'v', 'l', 'L',
    'm', 'd', '\u017f'],
  spaces: [' ', ' ', '\n', '\r', '\t', '\u0085', '\u00a0', '\u2028', '\u3000', '\u2003', 'a',
    '.', '\v'],
  symbols: [...'/// \n\r.,;:!?-_=+*&^%$#@()[]{}<>|\\"\'`~\u0301a0'],
  digits: [...'0123456789٣五Ⅷ½ ,.'],
  caseless: [...'中文字日本語あいうアイウ한글กขअआא ىABab\u0301\u0902\u3099'],
  words: ['the', ' The', ' HTML', 'ing', "'s", "'LL", ' ', '\n', '.', '123', ' élan', '中文',
    'Ab', 'I'],
  emoji: ['😀', '👍', '\u{1f3fd}', '\u200d', '\ufe0f', '🇩', '🇪', '♀', ' ', 'a', 'A', '\n', '/'],
};

function generated(name, alphabet, count, longest, seed) {
  const r = random(seed);
  const texts = [];
  for (let i = 0; i < count; i++) {
    let text = '';
    for (let left = 1 + r.below(longest); left > 0; left--) text += r.pick(alphabet);
    texts.push({ name: `${name} ${i}`, text });
  }
  return texts;
}

function anyCodePoints(count, longest, seed) {
  const r = random(seed);
  const texts = [];
  for (let i = 0; i < count; i++) {
    let text = '';
    const limit = r.pick([0x250, 0x2000, 0x3100, 0x10000, 0x20000, 0x110000]);
    for (let left = 1 + r.below(longest); left > 0; left--) {
      const code = r.below(limit);
      if (code < 0xd800 || code > 0xdfff) text += String.fromCodePoint(code);
      if (r.below(6) === 0) text += r.pick([' ', 'a', 'A', '\n', '1', "'s"]);
    }
    texts.push({ name: `code points ${i}`, text });
  }
  return texts;
}

// The corpus: every text by name. `scale` multiplies the generated part.
function corpus(scale) {
  const texts = [];
  for (const [name, list] of Object.entries(written)) {
    list.forEach((text, i) => texts.push({ name: `${name} ${i}`, text }));
    texts.push({ name: `${name} together`, text: list.join(' ') });
    texts.push({ name: `${name} upper`, text: list.join('\n').toUpperCase() });
    texts.push({ name: `${name} decomposed`, text: list.join('\n\n').normalize('NFD') });
  }
  let seed = 20240805;
  for (const [name, alphabet] of Object.entries(alphabets)) {
    texts.push(...generated(name, alphabet, 20 * scale, 60, seed++));
    texts.push(...generated(`${name} long`, alphabet, 2 * scale, 4000, seed++));
  }
  texts.push(...generated('letters', letters, 10 * scale, 400, seed++));
  // Long enough for ties and for every level of our tree; tiktoken needs quadratic time for more.
  for (const unit of ['a', ' ', 'A', '!', '\n', 'ab', '中', ' \n', '-', '=', '\u0301', 'aA', 'é']) {
    texts.push({ name: `repeated ${JSON.stringify(unit)}`, text: unit.repeat(5003) });
  }
  texts.push(...anyCodePoints(40 * scale, 80, seed++));
  return texts;
}

module.exports = { corpus };
