/* The demo model's file, taken in by the assembler: a C array of it would be 20 MB of source. */
#include "demo.h"

#include <stddef.h>

#include "model/ossicle.h"

#ifdef OSL_DEMO_FILE

#define TEXT_OF(number) #number
#define NUMBER(macro) TEXT_OF(macro)

/* The end is padded too: what shares its last page with it is nobody's business. */
__asm__(".pushsection .rodata.osl_demo, \"a\"\n"
        ".balign " NUMBER(OSSICLE_ALIGNMENT) "\n"
        ".globl osl_demo_begin\n"
        ".hidden osl_demo_begin\n"
        "osl_demo_begin:\n"
        ".incbin \"" OSL_DEMO_FILE "\"\n"
        ".globl osl_demo_end\n"
        ".hidden osl_demo_end\n"
        "osl_demo_end:\n"
        ".balign " NUMBER(OSSICLE_ALIGNMENT) "\n"
        ".popsection\n");
extern const unsigned char osl_demo_begin[] __attribute__((visibility("hidden")));
extern const unsigned char osl_demo_end[] __attribute__((visibility("hidden")));

const void *osl_demo_file(uint64_t *bytes_out)
{
    *bytes_out = (uint64_t)((uintptr_t)osl_demo_end - (uintptr_t)osl_demo_begin);
    return osl_demo_begin;
}

#else

const void *osl_demo_file(uint64_t *bytes_out)
{
    *bytes_out = 0;
    return NULL;
}

#endif
