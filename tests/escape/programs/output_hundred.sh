# SPDX-License-Identifier: Apache-2.0
# A hundred writers at once, each small; together they are over the limit.
# expect: status=output_limit limit=output_bytes how=read
# limits: output=256K wall=8s
for i in $(seq 100); do
        while :; do echo "writer $i says something"; done &
done
wait
