#!/bin/sh
# Plays a small board for the tools of tools.json: what to wire a real sensor or relay in place of.
#
#   boards/demo/board.sh time|temperature|switch    arguments (JSON) on stdin, result on stdout
#
# The temperature is that of the machine's first thermal zone; where there is none it is made up.
set -eu
case ${1-} in
time) date +%H:%M ;;
temperature)
    zone=/sys/class/thermal/thermal_zone0/temp
    milli=21500
    [ ! -r $zone ] || milli=$(cat $zone)
    sign=
    case $milli in -*) sign=- milli=${milli#-} ;; esac
    printf '{"temperature":%s%d.%d}\n' "$sign" $((milli / 1000)) $((milli % 1000 / 100))
    ;;
switch) echo '{"ok":true}' ;;
*)
    echo "usage: boards/demo/board.sh time|temperature|switch" >&2
    exit 1
    ;;
esac
