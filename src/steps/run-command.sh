#!/bin/sh
# What enroot runs in a container in place of the image's entrypoint: the command that it was given.
exec "$@"
