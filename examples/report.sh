# SPDX-License-Identifier: Apache-2.0
# Units and revenue by region, with the tools every system has:
# retort run examples/report.sh < examples/input/sales.csv
set -euo pipefail

declare -A units=()
declare -A cents=()

# A price such as 0.75 in hundredths: the shell has whole numbers only.
to_cents() {
        local whole=${1%%.*} part=${1#*.}
        [[ $1 == *.* ]] || part=0
        part=${part}00
        echo $((10#$whole * 100 + 10#${part:0:2}))
}

read_sales() {
        local region product count price
        read -r _ # the heading
        while IFS=, read -r region product count price; do
                [[ -n $region ]] || continue
                units[$region]=$((${units[$region]:-0} + count))
                cents[$region]=$((${cents[$region]:-0} + count * $(to_cents "$price")))
        done
}

print_report() {
        local region
        for region in "${!units[@]}"; do
                printf '%-6s %5d units %5d.%02d\n' "$region" "${units[$region]}" \
                        $((${cents[$region]} / 100)) $((${cents[$region]} % 100))
        done | sort
}

read_sales
print_report
printf 'saved to %s\n' "$(print_report | tee "${TMPDIR:-/tmp}/report.txt" | wc -l) lines"
