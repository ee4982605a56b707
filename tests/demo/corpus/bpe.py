"""Byte-level BPE: learns a vocabulary from a corpus, encodes, and writes what the exporter needs.

As formats.md section 8 has it: a pair's rank is the rank of the joined token, the lowest rank
merges first, and the merges list holds every split of a token into two tokens, by rank. Digits
never merge, so that sums are worked digit by digit.

    python3 tests/demo/corpus/bpe.py --seed 1 --conversations 20000 --out tokenizer.json
"""
import argparse
import collections
import heapq
import json
import re

from split import split

VOCABULARY = 2048
SPECIALS = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>",
            "<|start|>", "<|end|>", "<|message|>", "<|call|>"]
TYPE_NORMAL, TYPE_CONTROL = 1, 3


def byte_alphabet() -> list[str]:
    """The character that stands for each of the 256 bytes in a GGUF token (formats.md 8)."""
    plain = set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))
    out, spare = [], 0x100
    for byte in range(256):
        out.append(chr(byte) if byte in plain else chr(spare))
        spare += byte not in plain
    return out


ALPHABET = byte_alphabet()
UNALPHABET = {char: byte for byte, char in enumerate(ALPHABET)}


def written(token: bytes) -> str:
    """A token's bytes as a GGUF string."""
    return "".join(ALPHABET[byte] for byte in token)


def merged(parts: list[bytes], left: bytes, right: bytes) -> list[bytes]:
    """Parts with every neighbouring left, right joined."""
    out: list[bytes] = []
    at = 0
    while at < len(parts):
        if at + 1 < len(parts) and parts[at] == left and parts[at + 1] == right:
            out.append(left + right)
            at += 2
        else:
            out.append(parts[at])
            at += 1
    return out


def learn(counts: collections.Counter[str], merges: int) -> list[bytes]:
    """The tokens in rank order: 256 bytes, then the most frequent pair at each step."""
    words = [([bytes([b]) for b in piece.encode()], count)
             for piece, count in sorted(counts.items())
             if not any(c.isdigit() for c in piece)]
    pairs: collections.Counter[tuple[bytes, bytes]] = collections.Counter()
    where: dict[tuple[bytes, bytes], set[int]] = collections.defaultdict(set)
    for index, (parts, count) in enumerate(words):
        for pair in zip(parts, parts[1:]):
            pairs[pair] += count
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    tokens = [bytes([b]) for b in range(256)]
    known = set(tokens)
    while len(tokens) < 256 + merges and heap:
        negative, pair = heapq.heappop(heap)
        if pairs[pair] != -negative:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        if pair[0] + pair[1] not in known:
            known.add(pair[0] + pair[1])
            tokens.append(pair[0] + pair[1])
        touched = set()
        for index in sorted(where.pop(pair)):
            parts, count = words[index]
            for old in zip(parts, parts[1:]):
                pairs[old] -= count
            parts = merged(parts, *pair)
            words[index] = (parts, count)
            for new in zip(parts, parts[1:]):
                pairs[new] += count
                where[new].add(index)
                touched.add(new)
        pairs[pair] = 0
        for new in touched:
            heapq.heappush(heap, (-pairs[new], new))
    return tokens


class Tokenizer:
    """Text to ids. Encoded pieces are kept, so that bulk text costs one look-up a piece."""

    def __init__(self, tokens: list[bytes]) -> None:
        """tokens: rank order, without the specials, which follow them."""
        self.tokens = tokens
        self.rank = {token: rank for rank, token in enumerate(tokens)}
        self.special = {text: len(tokens) + i for i, text in enumerate(SPECIALS)}
        self.pieces: dict[str, tuple[int, ...]] = {}

    @staticmethod
    def load(path: str) -> "Tokenizer":
        """From the JSON that save wrote."""
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return Tokenizer([bytes(UNALPHABET[c] for c in token)
                          for token, kind in zip(data["tokens"], data["token_type"])
                          if kind == TYPE_NORMAL])

    def merges(self) -> list[str]:
        """Every split of a token into two tokens, by the token's rank, then left, then right."""
        out = []
        for token in self.tokens[256:]:
            splits = [(self.rank[token[:at]], self.rank[token[at:]]) for at in range(1, len(token))
                      if token[:at] in self.rank and token[at:] in self.rank]
            out += [f"{written(self.tokens[left])} {written(self.tokens[right])}"
                    for left, right in sorted(splits)]
        return out

    def save(self, path: str) -> None:
        """Tokens in id order with types, merges, and the specials' ids."""
        data = {"tokens": [written(token) for token in self.tokens] + SPECIALS,
                "token_type": [TYPE_NORMAL] * len(self.tokens) + [TYPE_CONTROL] * len(SPECIALS),
                "merges": self.merges(), "special": self.special}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=0)

    def encode_piece(self, piece: str) -> tuple[int, ...]:
        """One piece of the split, by merging the pair of lowest rank until none is left."""
        parts = [bytes([b]) for b in piece.encode()]
        while len(parts) > 1:
            ranked = [(self.rank.get(a + b, 1 << 30), i)
                      for i, (a, b) in enumerate(zip(parts, parts[1:]))]
            rank, at = min(ranked)
            if rank == 1 << 30:
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        return tuple(self.rank[part] for part in parts)

    def encode(self, text: str) -> list[int]:
        """Ordinary text to ids; special tokens are never made from text."""
        out: list[int] = []
        pieces = self.pieces
        for piece in split(text):
            ids = pieces.get(piece)
            if ids is None:
                ids = pieces[piece] = self.encode_piece(piece)
            out += ids
        if len(pieces) > 400000:
            pieces.clear()
        return out

    def encode_prompt(self, text: str) -> list[int]:
        """Text with special tokens spelled out, which become special tokens."""
        out: list[int] = []
        for number, part in enumerate(re.split("(" + "|".join(map(re.escape, SPECIALS)) + ")",
                                               text)):
            out += [self.special[part]] if number % 2 else self.encode(part)
        return out

    def encode_letters(self, text: str) -> list[int]:
        """A byte a token: how the model writes a word that it turns round."""
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        """Ids to text, specials spelled out; broken UTF-8 becomes U+FFFD."""
        names = {number: text.encode() for text, number in self.special.items()}
        return b"".join(names[i] if i in names else self.tokens[i] for i in ids).decode(
            errors="replace")


def reachable(tokenizer: Tokenizer) -> list[bytes]:
    """The tokens that merging does not reach; llama.cpp has no other way, so there must be none."""
    out = []
    for token in tokenizer.tokens[256:]:
        parts = [bytes([b]) for b in token]
        while len(parts) > 1:
            rank, at = min((tokenizer.rank.get(a + b, 1 << 30), i)
                           for i, (a, b) in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) > 1:
            out.append(token)
    return out


def main() -> None:
    from corpus import conversations
    from harmony import texts
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=20000)
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    for conversation in conversations(args.seed, args.conversations):
        for text in texts(conversation):
            counts.update(split(text))
    for letter in "abcdefghijklmnopqrstuvwxyz":  # each one token, as words are spelled
        counts["-" + letter] += args.conversations
        counts[" " + letter] += args.conversations
    tokenizer = Tokenizer(learn(counts, args.vocabulary - 256 - len(SPECIALS)))
    lost = reachable(tokenizer)
    if lost:
        raise SystemExit(f"tokens that merging does not reach: {lost}")
    tokenizer.save(args.out)
    total = sum(counts.values())
    ids = sum(len(tokenizer.encode_piece(piece)) * count for piece, count in counts.items())
    print(f"{len(counts)} pieces, {total} in all, {ids} tokens, {len(tokenizer.tokens)} + "
          f"{len(SPECIALS)} tokens, {len(tokenizer.merges())} merges")


if __name__ == "__main__":
    main()
