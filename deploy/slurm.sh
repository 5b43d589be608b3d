#!/usr/bin/env bash
# One part of `mentor embed`, `label` or `predict` for each task of a SLURM array:
#   sbatch --array=0-15 deploy/slurm.sh embed runs/a photos/ --out features/
#SBATCH --job-name=mentor
#SBATCH --cpus-per-task=4
set -euo pipefail
export RAYON_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
exec "${MENTOR:-mentor}" "$@" --shard auto
