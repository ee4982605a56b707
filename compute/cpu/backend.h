/* The CPU's team of threads as a backend: the executor, and marks in memory the plan placed. */
#ifndef OSL_CPU_BACKEND_H
#define OSL_CPU_BACKEND_H

#include "compute/backend.h"
#include "compute/executor.h"

struct osl_cpu_backend_config {
    struct osl_executor_config executor; /* the team stays the caller's */
    void *marks;                         /* [mark_count][osl_cpu_mark_bytes] */
    uint32_t mark_count;
};

/* Of one mark: the last `window` rows of every windowed layer. */
uint64_t osl_cpu_mark_bytes(const struct osl_schedule *schedule);

/* Memory of the backend itself, aligned to 64 bytes. */
uint64_t osl_cpu_backend_bytes(void);

/* As osl_executor_init. Nothing has to be closed; the config's memory is touched only by steps
 * and marks. */
OSL_MUST_USE enum osl_status osl_cpu_backend_init(void *memory, uint64_t bytes,
                                                  const struct osl_cpu_backend_config *config,
                                                  struct osl_backend **out,
                                                  struct osl_error *error);

#endif
