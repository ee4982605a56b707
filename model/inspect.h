/* A model file's header in words, for people or as JSON. Whatever the file holds, what comes out
 * is printable: in text, characters that are not shown as \xNN or \u{N}; in JSON, pure ASCII. */
#ifndef OSL_INSPECT_H
#define OSL_INSPECT_H

#include "gguf.h"

/* Pieces are terminated and at most OSL_INSPECT_PIECE_BYTES long; in text each is a whole line
 * with its newline, in JSON they join to one object and a newline. */
#define OSL_INSPECT_PIECE_BYTES 2048
typedef void osl_inspect_piece(void *user, const char *text);

void osl_inspect(const struct osl_gguf *gguf, bool json, osl_inspect_piece *piece, void *user);

#endif
