#!/usr/bin/env bash
# Checks the drivers as far as one machine can: the variables of each scheduler, and Ray if Python has it.
#   deploy/test.sh MENTOR RUN PHOTOS        (a complete run of a classifier, and a folder of images)
set -euo pipefail
cd "$(dirname "$0")"
export MENTOR; MENTOR="$(realpath "$1")"
run="$(realpath "$2")" photos="$(realpath "$3")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

same() { # the parts in $work/$1, one after the other, are the whole
    cat "$work/$1"/predictions-*-of-00003.jsonl | cmp - "$work/whole.jsonl"
    echo "$1: the parts are the whole"
}

"$MENTOR" predict "$run" "$photos" --out "$work/whole.jsonl"
for i in 0 1 2; do
    SLURM_ARRAY_TASK_ID=$((i * 2 + 5)) SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_MAX=9 SLURM_ARRAY_TASK_STEP=2 \
        SLURM_ARRAY_TASK_COUNT=3 bash slurm.sh predict "$run" "$photos" --out "$work/slurm"
    JOB_COMPLETION_INDEX=$i "$MENTOR" predict "$run" "$photos" --out "$work/kubernetes" --shard auto --num-shards 3
    AWS_BATCH_JOB_ARRAY_INDEX=$i AWS_BATCH_JOB_ARRAY_SIZE=3 \
        "$MENTOR" predict "$run" "$photos" --out "$work/aws" --shard auto
done
same slurm; same kubernetes; same aws
# A part that was lost is written again, and the others are passed over.
rm "$work/slurm/predictions-00001-of-00003.jsonl"
for i in 0 1 2; do "$MENTOR" predict "$run" "$photos" --out "$work/slurm" --shard "$i/3"; done 2>&1 |
    grep -c "was complete and intact" | grep -qx 2
same slurm
grep -q -- "--num-shards, \"$(sed -n 's/^  completions: //p' kubernetes.yaml)\"" kubernetes.yaml
if "${PYTHON:-python3}" -c 'import ray' 2>/dev/null; then
    "${PYTHON:-python3}" ray_tasks.py 3 "$MENTOR" predict "$run" "$photos" --out "$work/ray"
    same ray
else
    echo "skipped: Python has no ray"
fi
