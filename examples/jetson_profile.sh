#!/usr/bin/env bash
# Profile a bundle on a Jetson: latency, throttling, memory and power draw, at each power mode given.
#
#     examples/jetson_profile.sh [BUNDLE] [FOLDER] [MODE...]
#
# MODE is a number of `nvpmodel -p --verbose` (0 is the most powerful on most boards); without one the present mode is
# measured. Changing modes and fixing clocks needs sudo; some boards reboot for it, then run the script once a mode.
# Power is read through jetson-stats: pip install jetson-stats.
set -euo pipefail

bundle=${1:-deepsign}
folder=${2:-profile}
modes=("${@:3}")
mkdir -p "$folder"

profile() {
    edge-sdk selftest "$bundle" --engine all # first: a wrong answer is not worth timing
    edge-sdk profile "$bundle" --engine all --threads 1,2 --seconds 60 --report "$folder/$1.html" --json >"$folder/$1.json"
    echo "$folder/$1.html"
}

if [ ${#modes[@]} -eq 0 ]; then
    profile present
fi
for mode in "${modes[@]}"; do
    sudo nvpmodel -m "$mode"
    sudo jetson_clocks # else the first pictures measure how fast the governor wakes up
    profile "mode-$mode"
done
