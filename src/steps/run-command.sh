#!/bin/sh
# enroot runs this script in a container instead of the image's entrypoint; it runs the given command.
exec "$@"
