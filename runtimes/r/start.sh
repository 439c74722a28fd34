#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts R as Rscript does, without the two programs (Rscript, and R's own long shell script) that stand before the
# real one: start.sh R-PROGRAM FILE ARGUMENT..., or start.sh R-PROGRAM - ARGUMENT... for an R that takes what it does from its console.
program=$1
file=$2
shift 2
if [ "$file" = - ]; then
        test $# -gt 0 && set -- --args "$@"
        set -- --no-echo --no-restore --no-site-file --interactive --no-readline "$@"
else
        set -- --no-echo --no-restore --no-site-file "--file=$file" --args "$@"
fi

for home in /usr/lib/R /usr/lib64/R /usr/local/lib/R /usr/local/lib64/R; do
        test -x "$home/bin/exec/R" || continue
        R_HOME=$home
        for part in share include doc; do
                test -d "/usr/share/R/$part" && dir=/usr/share/R/$part || dir=$home/$part
                case $part in
                share) R_SHARE_DIR=$dir ;;
                include) R_INCLUDE_DIR=$dir ;;
                doc) R_DOC_DIR=$dir ;;
                esac
        done
        LD_LIBRARY_PATH=$home/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        export R_HOME R_SHARE_DIR R_INCLUDE_DIR R_DOC_DIR LD_LIBRARY_PATH
        program=$home/bin/exec/R
        break
done
exec "$program" "$@"
