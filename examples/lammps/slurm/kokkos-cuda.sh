#!/bin/bash
# LAMMPS with KOKKOS for CUDA on one node with 4 GPUs: one rank per GPU. Submit it in examples/lammps:
#
#   mhff compile mini --head materials --target lammps --device cuda -o mini.mliap    # on a GPU node
#   sbatch slurm/kokkos-cuda.sh
#
#SBATCH --job-name=mhff
#SBATCH --time=01:00:00
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8

set -eu
source "${MHFF_ENVIRONMENT:-$HOME/mhff/.venv}/bin/activate"   # LAMMPS embeds the first python3 on PATH

export OMP_PROC_BIND=false                                   # else all threads of a rank share one core
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

# Each rank sees only its own GPU, so each asks for one; mhff needs newton on and half neighbour lists.
srun --cpu-bind=cores lmp -k on g 1 -sf kk -pk kokkos newton on neigh half \
  -in in.bulk -var steps 10000
