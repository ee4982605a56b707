/* The workgroups of decode launches: one token, bound by how fast weights can be read. Shapes are
 * chosen by facts, never by vendor:
 *
 * Teams. A team of lanes makes a few rows; its lanes take blocks of 32 columns in turn. 2,880
 * columns are 90 blocks: 32 lanes go round 3 times and are busy for 94 % of it, 64 lanes would be
 * for 70 %. So a team is the power of two that wastes least, at most 32 and at most a subgroup,
 * and a subgroup of 64 holds two teams.
 *
 * Width. Where the driver lets us ask, the narrowest subgroup of 16 or more: registers of a
 * processor are shared among lanes, and a lane holds 32 floats of the vector and up to 4 pieces of
 * 16 bytes on their way. On Intel (8, 16 or 32) 32 lanes would leave 32 registers each, and spill;
 * 16 leave 64. On AMD RDNA (32 or 64) 32 give twice as many waves to hide memory behind; NVIDIA
 * has 32 alone.
 *
 * Rows. Each further row of a team is one more load on its way for every lane, and uses the
 * vector's block again: a block of the vector (128 bytes from cache or shared memory) against 17
 * or 34 bytes of weights is what limits a single row. But rows of the 20b are few (2,880 or 5,120),
 * and a GPU has up to a few hundred processors to give work to, of which facts know no number: 2
 * rows leave 180 to 720 workgroups a dispatch. Logits are 201,088 rows: 4, and 4 times round in a
 * workgroup, which shares the norm before them. For bandwidth B and latency L, B * L bytes must be
 * under way: 100 GB/s * 0.5 us = 50 KB on a laptop, 1 TB/s * 0.6 us = 600 KB on a large card. A
 * team of 32 lanes with 2 rows of Q8_0 has 2 KB: some 300 teams, 40 workgroups, are enough.
 *
 * Norm. A workgroup of a normalised vector reads it (11.5 KB) and the gain from cache before its
 * 49 KB of weights (16 rows of Q8_0), instead of waiting for a dispatch and a barrier of 2 us.
 * Where shared memory cannot hold it, that dispatch is made.
 *
 * Integer dot products (16-bit activations in two planes) take 0.5 operations a column of Q8_0 for
 * 3, and 3.5 for 5 of MXFP4, but quantise in each workgroup. What a GPU has to spare by bandwidth:
 * AMD and Intel integrated ones 10 operations a column, small ARM ones 5, cards 7 to 17. Cards thus
 * gain nothing and would wait longer for each workgroup's first load; integrated GPUs gain power
 * that they share with the CPU. So: integrated only, and where asked for (the tier's cap).
 * 16-bit floats would not pay: sums must be f32, and converting nibbles or bytes to f16 costs what
 * converting to f32 does.
 *
 * Software devices run a workgroup on one thread, a subgroup (8) at a time, and may read what all
 * lanes read as one: see SPREAD in matvec.glsl. One subgroup a workgroup makes barriers cheap. They
 * check every word of a binding against its end; dense weights are read by address instead where
 * the driver has that (Mesa 26, 2026-11-21, logits of 201,088 x 256: 16.8 ms of processor time a
 * token for 20.4). */
#include <stdio.h>

#include "compute/vulkan/matvec.h"

#define LANES_MIN 4u
#define LANES_MAX 32u
#define ROWS_MAX 8u
#define SOFTWARE_GROUPS 64u /* enough for as many threads, few enough to share a norm */

static bool quantised(enum osl_vk_layout layout)
{
    return layout >= OSL_VK_Q8_0;
}

static uint32_t subgroup_width(const struct osl_vk_facts *facts)
{
    if (!facts->subgroup_size_control || facts->type == OSL_VK_SOFTWARE) {
        return facts->subgroup_size;
    }
    uint32_t width = facts->subgroup_min < 16 ? 16 : facts->subgroup_min;
    return width > facts->subgroup_max ? facts->subgroup_max : width;
}

/* The team that wastes least of its lanes on the last round; the widest of those as good. */
static uint32_t team_lanes(uint32_t blocks, uint32_t width)
{
    uint32_t most = width > LANES_MAX ? LANES_MAX : width;
    uint32_t best = LANES_MIN;
    for (uint32_t lanes = LANES_MIN; lanes <= most; lanes *= 2) {
        uint32_t slots = (blocks + lanes - 1) / lanes * lanes;
        uint32_t best_slots = (blocks + best - 1) / best * best;
        if (slots * 16 <= best_slots * 17) { /* 6 % worse is as good: fewer rounds */
            best = lanes;
        }
    }
    return best;
}

static uint32_t shared_bytes(const struct osl_vk_choice *c, const struct osl_vk_wish *w,
                             uint32_t group, bool dot)
{
    uint32_t blocks = w->cols / OSL_BLOCK_COLS * w->vectors;
    uint32_t sums = group * (c->spec[OSL_SPEC_ROWS] * 8 + 4);
    return sums + (dot ? blocks * 72 : w->norm ? blocks * 128 : 16);
}

static bool wants_dot(const struct osl_vk_device *device, const struct osl_vk_wish *w)
{
    const struct osl_vk_facts *facts = device->facts;
    if (!device->dot || !quantised(w->layout) || w->floats) {
        return false;
    }
    return device->tier == OSL_VK_TIER_DOT ||
           (facts->dot_accelerated && facts->type == OSL_VK_INTEGRATED);
}

static void choose_software(const struct osl_vk_device *device, const struct osl_vk_wish *w,
                            struct osl_vk_choice *c, bool dot)
{
    /* A driver that has 16-bit floats is new enough to keep uniform values scalar (Mesa 26: 1.4
     * times the speed of gathers; 22.3, without either: a fifth). 8 rows share a block of x, which
     * takes 4 gathers to load: 4 rows were a fifth slower, more would spill. */
    bool spread =
        !dot && quantised(w->layout) && device->facts->fp16 && device->facts->subgroup_size >= 8;
    c->spec[OSL_SPEC_GROUP] = 8;
    c->spec[OSL_SPEC_LANES] = 8;
    c->spec[OSL_SPEC_ROWS] = spread ? ROWS_MAX : 4;
    c->spec[OSL_SPEC_SPREAD] = spread;
    uint32_t step = c->spec[OSL_SPEC_ROWS];
    uint32_t rows = (w->rows + SOFTWARE_GROUPS - 1) / SOFTWARE_GROUPS;
    c->group_rows = (rows + step - 1) / step * step;
}

static void choose_gpu(const struct osl_vk_device *device, const struct osl_vk_wish *w,
                       struct osl_vk_choice *c, bool dot)
{
    const struct osl_vk_facts *facts = device->facts;
    uint32_t width = device->subgroup ? subgroup_width(facts) : LANES_MAX;
    uint32_t group = w->group > facts->invocations ? facts->invocations : w->group;
    c->spec[OSL_SPEC_LANES] = team_lanes(w->cols / OSL_BLOCK_COLS, width);
    c->spec[OSL_SPEC_ROWS] = w->rows_at_once;
    while (group > LANES_MAX && shared_bytes(c, w, group, dot) > facts->shared_bytes) {
        group /= 2;
    }
    c->spec[OSL_SPEC_GROUP] = group;
    c->group_rows = group / c->spec[OSL_SPEC_LANES] * c->spec[OSL_SPEC_ROWS] * w->rounds;
}

bool osl_vk_matvec_choose(const struct osl_vk_device *device, const struct osl_vk_wish *w,
                          struct osl_vk_choice *c)
{
    const struct osl_vk_facts *facts = device->facts;
    OSL_ASSERT(w->cols % OSL_BLOCK_COLS == 0 && w->cols > 0 && w->rows > 0);
    bool dot = wants_dot(device, w);
    for (;;) {
        *c = (struct osl_vk_choice){.tier = dot ? "_dot" : device->subgroup ? "_subgroup" : ""};
        c->spec[OSL_SPEC_SUBGROUP] = subgroup_width(facts);
        c->spec[OSL_SPEC_LAYOUT] = w->layout;
        c->spec[OSL_SPEC_SLABS] = 1;
        c->spec[OSL_SPEC_STAGED] = w->norm || dot;
        c->spec[OSL_SPEC_COLS] = w->cols;
        c->spec[OSL_SPEC_VECTORS] = w->vectors;
        c->spec[OSL_SPEC_NORM] = w->norm;
        if (facts->type == OSL_VK_SOFTWARE) {
            choose_software(device, w, c, dot);
        } else {
            choose_gpu(device, w, c, dot);
        }
        if (shared_bytes(c, w, c->spec[OSL_SPEC_GROUP], dot) <= facts->shared_bytes) {
            return true;
        }
        if (!dot) {
            return false;
        }
        dot = false;
    }
}

enum osl_status osl_vk_matvec_pipeline(const struct osl_vk_net *net, const char *stem,
                                       const struct osl_vk_choice *c,
                                       const struct osl_vk_pipeline **out, struct osl_error *error)
{
    char name[32];
    snprintf(name, sizeof name, "%s%s", stem, c->tier);
    return osl_vk_pipeline_get(net->device, name, c->spec, OSL_SPEC_COUNT, out, error);
}

uint32_t osl_vk_bias_offset(const struct osl_vk_vector *bias)
{
    return bias == NULL ? OSL_GPU_NONE : bias->offset;
}
_Static_assert(OSL_GPU_NONE == OSL_VK_NO_VECTOR, "one sign for no bias");
