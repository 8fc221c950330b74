/* front/drive.h: drives a connection's surface (api/surface.h): steps, tasks and their way back,
 * signals, deadlines. On the connection's loop. */
#ifndef FRONT_DRIVE_H
#define FRONT_DRIVE_H

#include "front/conn.h"

/* The handshake is done: makes the surface. False: no memory. */
bool front_drive_open(struct front_conn *c);
/* Steps until the surface waits for something. */
void front_drive_step(struct front_conn *c);
/* When to call front_drive_on_deadline, wall clock; INT64_MAX: not at all. */
int64_t front_drive_deadline_ms(const struct front_conn *c);
void front_drive_on_deadline(struct front_conn *c);
/* No more than the farewell: the connection is gone or as good as gone. Once; waits for work that
 * is out. */
void front_drive_farewell(struct front_conn *c);
/* May the surface use more input? */
bool front_drive_wants_input(const struct front_conn *c);
/* Is nothing begun and not finished? */
bool front_drive_is_idle(const struct front_conn *c);
/* Is nothing out that will come back? */
bool front_drive_is_over(struct front_conn *c);
void front_drive_free(struct front_conn *c);

int64_t front_drive_wall_ms(void);

#endif
