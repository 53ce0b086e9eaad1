#!/bin/bash
# A study as one job that submits the others: sbatch deploy/slurm.sh VIDEOS STUDY
#
# It coordinates only, so that it is small and may run long. What it has submitted goes on without it; if it is out of
# time, the same line goes on with the study. Jobs of videos take a GPU each here; on processors alone leave gres out.
# The folder of cuemask's environment, VIDEOS and STUDY have to be on a store that all nodes see.
#SBATCH --job-name=cuemask-study
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=2-00:00:00
#SBATCH --requeue
set -euo pipefail
: "${2:?usage: sbatch deploy/slurm.sh VIDEOS STUDY}"

exec "${CUEMASK:-cuemask}" batch "$1" --out "$2" --quiet \
  --on slurm:partition="${PARTITION:-gpu}",gres=gpu:1,cpus_per_task=4,mem=16GB,time=720
