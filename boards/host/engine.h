/* From options to a running engine: profile, configuration, plan, memory, boot. */
#ifndef OSL_HOST_ENGINE_H
#define OSL_HOST_ENGINE_H

#include "options.h"
#include "profile.h"

struct osl_host_engine {
    ossicle *engine; /* NULL until started */
    struct ossicle_config config;
    struct ossicle_plan plan;
    struct osl_profile profile;
    bool profile_picked;   /* by auto */
    bool context_by_board; /* not asked for: a model made for less may have less */
    bool verbose;
    bool device_wanted; /* by an option that only a Vulkan device heeds */
    uint64_t start_ns; /* when osl_host_engine_start was called */
    void *memory;
    uint64_t memory_bytes;
    uint64_t reserved_bytes;
};

/* Fills config from the options and, for what they leave open, from the profile. Takes no memory
 * and opens no file but a --board FILE. Complains and returns a status on failure. */
OSSICLE_MUST_USE enum ossicle_status osl_host_engine_configure(const struct osl_args *args,
                                                               struct osl_host_engine *engine);

/* The model at path, or with NULL the one that is part of the program; complains where there is
 * none. */
OSSICLE_MUST_USE enum ossicle_status osl_host_model_configure(const char *path,
                                                              struct ossicle_config *config);

/* Fills what --device and the options that belong to it say, the rest with the defaults. */
void osl_device_configure(const struct osl_args *args, struct ossicle_config *config);

/* Fills plan from config; complains and returns a status on failure. A context that only the board
 * asked for gives way to the model's own. A line on stderr says so if the model is the demo. */
OSSICLE_MUST_USE enum ossicle_status osl_host_engine_plan(struct osl_host_engine *engine);

/* Plans, refuses what does not fit, takes the memory once, boots. The caller may change
 * engine->config between configure and start. Complains on failure; nothing is left open then. */
OSSICLE_MUST_USE enum ossicle_status osl_host_engine_start(struct osl_host_engine *engine);

void osl_host_engine_stop(struct osl_host_engine *engine);

/* Configures and starts an engine that is only asked about tokens, for texts of up to text_bytes:
 * small, mapped, one thread. */
OSSICLE_MUST_USE enum ossicle_status
osl_host_engine_start_tokenizer(const struct osl_args *args, uint64_t text_bytes,
                                struct osl_host_engine *engine);

/* Complains with what the engine said about its last failing call; returns status. */
enum ossicle_status osl_host_engine_complain(const struct osl_host_engine *engine,
                                             enum ossicle_status status);

/* Made if it is not there; NULL where that can not be. Static storage. */
const char *osl_state_dir(void);

#endif
