/* lanes.h - the lanes of a speed worker's jobs (base/env.h). */
#ifndef WEIR_SPEED_WORKER_LANES_H
#define WEIR_SPEED_WORKER_LANES_H

#include <stdint.h>

/* Each log of each partition has one of its own, up to so many; flushes and first replays go there.
 */
#define LOG_LANES_MAX (UINT32_C (1) << 27)

/* With a log's lane: what flushes do not wait for. */
#define REBUILD_LANE (UINT32_C (1) << 31) /* of its views … */
#define FORWARD_LANE (UINT32_C (1) << 30) /* … what is read of it for other keys' logs … */
#define TRIM_LANE    (UINT32_C (1) << 29) /* … and what is removed of it */

/* Of the worker. */
#define SPACE_LANE   (UINT32_C (1) << 28)
#define RETIRED_LANE (SPACE_LANE + 1)

_Static_assert(LOG_LANES_MAX <= SPACE_LANE, "no log's lane is the worker's");

#endif
