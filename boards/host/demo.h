/* The model that is part of the program, and answers where none is given. */
#ifndef OSL_HOST_DEMO_H
#define OSL_HOST_DEMO_H

#include <stdint.h>

/* What stands for its path in messages. */
#define OSL_DEMO_NAME "the built-in demo"

/* A GGUF file, byte for byte, aligned for ossicle_config.model_data; NULL and 0 bytes in a program
 * built with -DOSSICLE_DEMO=OFF. */
const void *osl_demo_file(uint64_t *bytes_out);

#endif
