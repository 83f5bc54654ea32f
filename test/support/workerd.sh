#!/bin/sh
# workerd, ended when the process that started it is gone: a killed parent cannot do that itself, and nobody else would.
# This shell becomes workerd, so that the parent's signals reach it; the watcher holds none of its pipes.
parent=$PPID
{
  while kill -0 $$ && kill -0 "$parent"; do sleep 0.2; done
  kill -0 "$parent" || kill -9 $$
} </dev/null >/dev/null 2>&1 3>&- &
exec "$CELLOS_TEST_WORKERD" "$@"
