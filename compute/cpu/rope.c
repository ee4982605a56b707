/* Plain rotation, half-split pairs (i, i + head_dim/2). Two products and one sum, each rounded:
 * every table gives these bits. Source: formats.md, section 2, step 2. */
#include "platform/platform.h"

#include "tables.h"

void osl_plain_rope(float *heads_data, uint32_t heads, uint32_t head_dim, const float *cos_row,
                    const float *sin_row)
{
    uint32_t half = head_dim / 2;
    for (uint32_t h = 0; h < heads; h++) {
        float *low = heads_data + (size_t)h * head_dim;
        float *high = low + half;
        for (uint32_t i = 0; i < half; i++) {
            float a = low[i];
            float b = high[i];
            low[i] = a * cos_row[i] - b * sin_row[i];
            high[i] = b * cos_row[i] + a * sin_row[i];
        }
    }
}
